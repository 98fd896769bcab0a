"""`python -m ovnqos` is the command `ovnqos`."""

from ovnqos.cli.main import main

main()
