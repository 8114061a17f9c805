"""recorded: whether the results of a commit, and those here, are of their own params and code.

    python -m proofs.recorded REV

Prints the commit's full hash, which programs may compare with what is here.
"""

from argparse import ArgumentParser

from digits.errors import report
from proofs.ledger import read_recorded
from proofs.repository import files_of, find_commit


def main() -> None:
    """Look at both, and name the commit."""
    parser = ArgumentParser(description="Name a commit whose results are its own.")
    parser.add_argument("revision", help="of this repository")
    revision = parser.parse_args().revision
    commit = find_commit(revision)
    for name, one in ((revision, commit), ("the working tree", None)):
        with files_of(one) as folder:
            read_recorded(folder, name)
    print(commit)


if __name__ == "__main__":
    report(main)
