"""The attacks, each as a program that does it. An attack breaks one rule of docs/wire.md.

`skip` names the check of reference.py that alone stands in its way: the suite's own test leaves
it out and sees the attack succeed. `log` is what the line about it in our programs' log must say.
"""

import offences_peer  # noqa: F401 - they enter themselves into ATTACKS
import offences_proof  # noqa: F401
from lab import ATTACKS, Lab, of_role, run, untrusted

__all__ = ["ATTACKS", "Lab", "of_role", "run", "untrusted"]
