"""The commands ``search.py`` and ``train.py``. Only this room and ``judge`` use Hydra."""
