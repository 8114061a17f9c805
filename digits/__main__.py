"""The command line of the library: `python -m digits --help`."""

from argparse import ArgumentParser, RawDescriptionHelpFormatter

from digits.errors import InputError, run_command

CLASSIFY = """\
Say what the network in models/ makes of pictures. A picture has one digit, unless several of about
one size lie clearly apart; they are told in reading order. A picture that cannot be used has a line
on standard error instead; the others are answered all the same, and the exit status is 1.

With --json, a list with an object for each digit:

    file            as it was given
    label           the name of the likeliest class
    probabilities   of each class, by its name, calibrated, rounded to 9 digits
    is_familiar     whether it looks like the images that the network was trained on
    place           left, top, width and height, in pixels of the picture as it is turned;
                    the table has it as WIDTHxHEIGHT+LEFT+TOP

Example: python -m digits classify --sheet page.jpg
"""
MODEL = "the network, as the stage evaluate writes it (this folder's: %(default)s)"
DEFAULT = "models/digits.safetensors"
EXPORT = """Write it to models/mlp.onnx, in the form of ONNX, which other runtimes and languages
read: raw pixels go in; exact logits, and calibrated probabilities, come out.
Example: python -m digits export"""


def parser() -> ArgumentParser:
    """Return what reads the command line."""
    whole = ArgumentParser(prog="python -m digits", description="Use a trained network.")
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
    export = commands.add_parser("export", help="write it as ONNX", description=EXPORT)
    for command in (classify, export):
        command.add_argument("--model", default=DEFAULT, metavar="FILE", help=MODEL)
    return whole


def main() -> None:
    """Run the command that is named; what a person can mend ends in one line."""
    run_command(_run)


def _run() -> None:
    # Only now is imported what the command needs, which takes a while.
    arguments = parser().parse_args()
    if arguments.command == "classify":
        from digits import classify  # noqa: PLC0415

        classify.main(
            arguments.files, arguments.model, sheet=arguments.sheet, as_json=arguments.json
        )
        return
    try:
        from digits import export  # noqa: PLC0415
    except ModuleNotFoundError as error:
        expected = "the extra of that name: make setup EXTRA=export"
        raise InputError(f"{error.name} is not installed; expected {expected}") from None
    export.main(arguments.model)


if __name__ == "__main__":
    main()
