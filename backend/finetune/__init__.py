"""Fine-tuning: a plan that is known to fit, a run that is watched, and proof that the model learned.

    presets      what is to be learned and how long it may take -> all other settings
    plan         a spec on this machine: steps, time, memory, disk, command, and everything that is wrong with it
    contract     chat template, special tokens and end of sequence: the same from the dataset to the server
    files        what a run keeps in its job folder
    record       a run as the page shows it, read from these files
    health       what the curves say, in words
    control      what a person asks of a run that is under way
    oom_lines, out_of_memory, relief    where it ran out of memory, and the smallest change that helps
    proof        whether the tuned model is better, with intervals
    comparing, sweeps    runs side by side, and several as one grid
    cards        the model card of what was made
    capsule      everything that is needed to repeat a run, in one file

No torch here: the programs are ``jobs/finetune.py``, ``jobs/rehearse.py`` and ``jobs/finetuning/``.
"""
