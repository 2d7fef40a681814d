"""`python -m onet.cli`."""

from onet.cli import main

main()
