"""Reads files in a process of its own, and tells of each what came, what it took, and what Python did meanwhile.

``python reading.py FOLDER``: a file's name ends in its kind; a line of JSON is written for each.
"""

import json
import sys
import time
import tracemalloc
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from crafted import READERS

# The file being read, and what happened meanwhile beside that it was opened.
reading, events = None, []


def watch(event, arguments):
    if reading is not None and event != "builtins.id" and not (event == "open" and arguments[:2] == (reading, "r")):
        events.append(f"{event} {arguments!r}"[:200])


def tried(path):
    """What came of reading the file once."""
    global reading
    reading = str(path)
    try:
        READERS[path.suffix[1:]](path)
    except BaseException as error:
        return type(error).__name__, str(error)
    finally:
        reading = None
    return "", "was read"


def main(folder):
    warnings.simplefilter("error")
    paths = sorted(folder.iterdir())
    for path in paths:
        if path.stem.startswith("whole"):
            # What is imported when it is first needed.
            tried(path)
    sys.addaudithook(watch)
    for path in paths:
        events.clear()
        begin = time.process_time()
        kind, message = tried(path)
        seconds = time.process_time() - begin
        tracemalloc.start()
        tried(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        told = {"file": path.name, "error": kind, "message": message, "seconds": seconds, "peak": peak, "events": events}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
