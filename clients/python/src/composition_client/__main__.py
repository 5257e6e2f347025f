"""`python -m composition_client` is the command `compose`."""

from composition_client.command import main

main()
