"""`python -m photomend`: the command line."""

from photomend import main

main()
