"""Agents: tools that really run, and the turns in which a model calls them. Nothing here is imported by the panel.

turns     the worker of a conversation          loop      one turn: ask, call, record, until it ends
calling   the calls of a step                   going     what the two share
asking    a reply of a running model            past      what it is told of what was said before
book      where steps are kept                  toolbox   the tools of a conversation
tools     our own                               mcp       those of servers that people bring along
sandbox   where code that a model wrote runs    results   a tool's result as a model reads it
"""
