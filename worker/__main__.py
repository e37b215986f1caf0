"""``python -m worker`` is ``bilag``."""

from worker.cli import main

if __name__ == "__main__":
    main()
