"""The one exception that means "what the user gave is at fault", and nothing else.

The commands print it as a single line that begins with ``error:``. Anything else that is raised is
a defect of the program and keeps its traceback.
"""


class InputError(ValueError):
    """A setting, a file or a data set that cannot be used.

    The message is one line: it names the file or the setting, what was wrong, and what is legal.
    """
