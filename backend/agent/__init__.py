"""Models that use tools: how they are asked, what their replies mean, and what is kept of a conversation with one.

    tools      a tool as models and people see it, and what a call of it gave
    own_tools  those that come with the panel, as people see them          tool_settings  what a person has set for them
    calls      what a raw reply is understood as: thought, calls, answer, what was repaired, what went wrong
    protocols  three ways of calling tools: what is sent to a server, and what its replies are understood as
    endings    why a turn ended without an answer, where no reply says it
    options    how an agent works in one conversation       records  a conversation, its turns and their steps
    store      agent.db: what pages ask; recording: what workers answer; schema, stored: its tables and rows
    working    the program that works at a conversation
    checks_*   twenty small tasks, a score for each way of calling tools
    traces     a good or corrected turn as a row that a model learns from
    search     the words of a person's own datasets and documents, found in no time
    mcp_*      servers of the Model Context Protocol that people bring along

Nothing here runs a tool: programs under jobs/ do.
"""
