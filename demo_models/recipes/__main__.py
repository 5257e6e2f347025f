"""Trains and exports the demo models.

``python -m demo_models.recipes train COMPONENT --minutes N`` trains one component until it has had N minutes in
all, ``train --all`` works through the whole queue, ``export FOLDER`` writes what is trained, ``status`` shows it.
Training waits while the file PAUSE exists in ``$DEMO_WORKDIR``; ``pause`` and ``resume`` make and remove it.
"""

import argparse
import os
import sys
from pathlib import Path

_SIMPLE = {
    "status": "show how long each component was trained and its last scores",
    "pause": "make every training run wait, to measure something else",
    "resume": "let them go on",
}


def main() -> int:
    """Runs one command. Returns the exit status."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    parser = argparse.ArgumentParser(prog="demo_models.recipes", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train a component, or all in turn")
    train.add_argument("component", nargs="*")
    train.add_argument("--all", action="store_true")
    train.add_argument("--minutes", type=float, help="training time in all; default: what the recipe asks for")
    train.add_argument("--scenes", type=int, help="training scenes to render at least; default: 8000")
    train.add_argument("--threads", type=int, default=1, help="processor cores that a training without GPU uses")
    train.add_argument("--batch", type=int, help="examples of a step; default: the recipe's")
    train.add_argument("--learning-rate", type=float, help="peak; default: the recipe's")
    train.add_argument("--ema-decay", type=float, help="of the averaged weights; default: the recipe's")
    train.add_argument("--unjudged", action="store_true", help="do not score at the end, which takes minutes")
    encoding = commands.add_parser("encode", help="encode scenes for the UNet's recipes; runs beside them")
    encoding.add_argument("autoencoder", choices=["vae", "vae-fine"])
    for command in (train, encoding):
        command.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
        command.add_argument(
            "--processes", type=int, default=1, help="that render and encode scenes, and draw batches for a GPU"
        )
    for name, meaning in _SIMPLE.items():
        commands.add_parser(name, help=meaning)
    export = commands.add_parser("export", help="write the trained components in the layout of the real repositories")
    export.add_argument("folder", type=Path)
    start = commands.add_parser("start-from", help="go on with exported weights: the next training starts from them")
    start.add_argument("folder", type=Path)
    halving = commands.add_parser("halve", help="write an ONNX file of others' with its weights in half precision")
    halving.add_argument("source", type=Path)
    halving.add_argument("target", type=Path)
    arguments = parser.parse_args()

    from demo_models.recipes.workdir import pause_file

    if arguments.command == "pause":
        pause_file().touch()
        return 0
    if arguments.command == "resume":
        pause_file().unlink(missing_ok=True)
        return 0

    if arguments.command == "halve":
        from demo_models.recipes.halving import halve

        halve(arguments.source, arguments.target)
        return 0

    from demo_models.recipes.queue import Means, encode, status, train_components  # torch takes seconds to import

    if arguments.command == "status":
        print("\n".join(status()))
        return 0

    if arguments.command == "train":
        if bool(arguments.component) == arguments.all:
            parser.error("name components or say --all")
        means = Means(device=arguments.device, processes=arguments.processes, threads=arguments.threads)
        settings = {name: getattr(arguments, name) for name in ("batch", "learning_rate", "ema_decay")}
        try:
            finished = train_components(
                arguments.component or None,
                means,
                minutes=arguments.minutes,
                scenes=arguments.scenes,
                judged=not arguments.unjudged,
                **{name: value for name, value in settings.items() if value is not None},
            )
        except ValueError as error:
            parser.error(str(error))
        return 0 if finished else 1
    if arguments.command == "encode":
        encode(arguments.autoencoder, Means(device=arguments.device, processes=arguments.processes))
        return 0
    from demo_models.recipes.export import export_all, start_from

    if arguments.command == "start-from":
        print("training will start from these weights: " + ", ".join(start_from(arguments.folder)))
    else:
        export_all(arguments.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
