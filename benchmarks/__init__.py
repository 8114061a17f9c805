"""The same work on what a user would pick instead, on more rows, and what answering takes.

What is measured is a table with a row for each value, and columns subject (a library, or how many
times the rows there are), stage, quantity and value. Times are in seconds, memory in megabytes.
"""
