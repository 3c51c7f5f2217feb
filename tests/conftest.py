"""Settings that all tests share."""

from hypothesis import settings

# a busy machine is no bug; everything else is as Hypothesis has it, which is repeatable where CI is set
settings.register_profile("lmkeras", settings(), deadline=None)
settings.load_profile("lmkeras")
