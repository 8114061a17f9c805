"""The command line of the library: `python -m digits --help`."""

from argparse import ArgumentParser, RawDescriptionHelpFormatter

from digits.errors import InputError, run_command

CLASSIFY = """\
Say what the network in models/ makes of pictures. A picture has one digit, unless several of about
one size lie clearly apart; they are told in reading order. A picture that cannot be used has a line
on standard error instead; the others are answered all the same, and the exit status is 1.

With --json, a list with an object for each digit:

    file            as it was given
    place           left, top, width and height, in pixels of the picture as it is turned;
                    the table has it as WIDTHxHEIGHT+LEFT+TOP
    predicted       the name of the likeliest class
    label           its number
    probabilities   of each class, by its name, rounded to 6 digits

Example: python -m digits classify --sheet page.jpg
"""
EXPORT = """Write it to models/mlp.onnx, in the form of ONNX, which other runtimes and languages
read: raw pixels go in, and probabilities come out. Example: python -m digits export"""


def parser() -> ArgumentParser:
    """Return what reads the command line."""
    whole = ArgumentParser(prog="python -m digits", description="Use the network of this folder.")
    commands = whole.add_subparsers(dest="command", required=True)
    classify = commands.add_parser(
        "classify",
        help="say what it makes of pictures",
        description=CLASSIFY,
        formatter_class=RawDescriptionHelpFormatter,
    )
    classify.add_argument("files", nargs="+", metavar="FILE", help="a picture")
    classify.add_argument("--sheet", action="store_true", help="each picture has several digits")
    classify.add_argument("--json", action="store_true", help="all probabilities, as JSON")
    commands.add_parser("export", help="write it as ONNX", description=EXPORT)
    return whole


def main() -> None:
    """Run the command that is named; what a person can mend ends in one line."""
    run_command(_run)


def _run() -> None:
    # Only now is imported what the command needs, which takes a while.
    arguments = parser().parse_args()
    if arguments.command == "classify":
        from digits.pictures import classify  # noqa: PLC0415

        classify.main(arguments.files, sheet=arguments.sheet, as_json=arguments.json)
        return
    try:
        from digits.network import export  # noqa: PLC0415
    except ModuleNotFoundError as error:
        expected = "the extra of that name: make setup EXTRA=export"
        raise InputError(f"{error.name} is not installed; expected {expected}") from None
    export.main()


if __name__ == "__main__":
    main()
