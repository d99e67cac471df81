"""Models that use tools: which tools there are, and what a model's reply is understood as.

    tools      a tool as models and people see it, and what a call of it gave
    calls      what a raw reply is understood as: thought, calls, answer, what was repaired, what went wrong
    protocols  three ways of calling tools: what is sent to a server, and what its replies are understood as
    search     the words of a person's own datasets and documents, found in no time
    mcp_*      servers of the Model Context Protocol that people bring along

Nothing here runs a tool: programs under jobs/ do.
"""
