"""How the starter model is made: corpus, tokenizer, model, training loop, evaluation.

facts.py       what it knows: tables in data/*.tsv, asked in the wordings of phrasings.py
small_talk.py  what it says when greeted, thanked, asked who it is
unknown.py     what it does not know, and says so
context.py     what it reads from the conversation: names, echoes, personas
tools.py       calling functions, in JSON and in ReAct form
corpus.py      the table of skills, and a seeded endless stream of dialogues of them
tokenizer.py   byte-level BPE with Llama 3's special tokens and chat template
model.py       the Llama configurations: sizes, files of a shipped folder
loop.py        the training loop; checkpoint.py saves and resumes it
evaluate.py    held-out questions, greedy answers, a table
"""
