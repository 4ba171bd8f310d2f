"""``python -m lightning_nas.judge RUN``: does weight sharing rank architectures correctly?"""
