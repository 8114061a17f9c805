"""The notebook's recipe, CSV to submission, in four other libraries, as a user would write it.

They run in an environment of their own, and import nothing from digits.
"""
