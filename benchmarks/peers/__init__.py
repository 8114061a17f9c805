"""The notebook's recipe, CSV to submission, in four other libraries, as a user would write it.

Each module reads data/mnist/train.csv and test.csv in the working folder, trains 784-200-200-200-10
with SGD for five epochs of batches of 64, writes submission.csv, and prints the seconds of its fit.
They run in an environment of their own, and import nothing from digits.
"""
