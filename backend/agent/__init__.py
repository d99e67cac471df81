"""Models that use tools: which tools there are, and what a model's reply is understood as.

    tools      a tool as models and people see it, and what a call of it gave
    calls      what a raw reply is understood as: thought, calls, answer, what was repaired, what went wrong

Nothing here runs a tool: programs under jobs/ do.
"""
