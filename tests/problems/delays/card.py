"""What the model card says of trains that no pipeline can know."""

INTENDED_USE = "For the tests of the pipeline."
LIMITS = "The trains are made up."
DATA = "Made by `delays.source`, the same rows whenever they are asked for."
LICENCE = "Apache-2.0, like the tests."
