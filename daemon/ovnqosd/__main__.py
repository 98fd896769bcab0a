"""The command `ovnqosd`, also as `python -m ovnqosd`."""

import sys

_OF_EXTRA = frozenset({"kubernetes", "prometheus_client", "structlog", "urllib3"})


def main() -> None:
    """Run the daemon, or say in one line that a package of the extra `daemon` is not installed."""
    try:
        from ovnqosd.main import run  # noqa: PLC0415 # what it imports may be missing
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _OF_EXTRA:
            raise
        sys.exit(f"ovnqosd: the Python package {missing} is not installed; install ovnqos[daemon]")
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
