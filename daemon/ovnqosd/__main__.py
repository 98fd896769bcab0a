"""`python -m ovnqosd` is the command `ovnqosd`."""

from ovnqosd.main import main

main()
