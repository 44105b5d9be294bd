"""`python -m tests.scenarios FOLDER..`: run scenarios wherever they lie, and say what is not as expected."""

import sys
from pathlib import Path

from tests.scenarios import story
from tests.scenarios.course import Course


def main(folders: list[str]) -> int:
    """Return 1 where anything is not as expected."""
    wrong = 0
    for folder in map(Path, folders):
        course = Course(story.read(folder.name, folder.resolve().parent))
        course.run()
        wrong += len(course.wrong)
        print(f"{course.story.title}: {'not as expected' if course.wrong else 'as expected'}")
        for line in course.wrong:
            print(f"  {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
