"""One frozen, validated spec per verb: the single source of form widgets, command line flags, help texts and ``spec.json``.

A verb is the name of a program in ``jobs/``. Adding one is adding a module here with its class, and a line in ``VERBS``.
"""

from backend.specs.base import Resources, Spec, parse, spec_class, takes, verbs

__all__ = ["Resources", "Spec", "parse", "spec_class", "takes", "verbs"]
