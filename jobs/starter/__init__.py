"""How the starter model is made: corpus, tokenizer, model, training loop, evaluation.

facts.py       what it knows: tables in data/*.tsv, asked in the wordings of phrasings.py
small_talk.py  what it says when greeted, thanked, asked who it is
unknown.py     what it does not know, and says so
context.py     what it reads from the conversation: names, echoes
persona.py     who it must be, and rules for its answers, from the system message
choice.py      multiple choice by letter
tools.py       calling functions, in JSON and in ReAct form
corpus.py      the table of skills, and a seeded endless stream of dialogues of them
tokenizer.py   byte-level BPE with Llama 3's special tokens and chat template
model.py       the Llama configurations: sizes, files of a shipped folder
batches.py     dialogues as packed rows of tokens
loop.py        the training loop; checkpoint.py saves and resumes it
evaluate.py    held-out questions, greedy answers, a table
identity.py    what an adapter with a new identity taught, and what it cost elsewhere
quantized.py   group-wise 8 and 4 bit, and what they cost
"""
