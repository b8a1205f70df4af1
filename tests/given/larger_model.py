"""A larger model with an LSTM and a cell in it, and the weights of one LSTM."""

from argparse import Namespace

import torch

TENSORS = torch.nn.LSTM(5, 4, 2, bidirectional=True, proj_size=2).state_dict()


class Model(torch.nn.Module):
    """An LSTM in a larger model, with a buffer."""

    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(5, 4)
        self.head = torch.nn.Linear(4, 2)
        self.register_buffer("mean", torch.ones(3))
        self.config = Namespace(seed=7)
        self.model = torch.nn.ModuleDict({"cell": torch.nn.LSTMCell(3, 2)})
