"""The model server: an OpenAI-shaped HTTP face (:mod:`app`) over the generation loops of transformers (:mod:`generation`);
and what the job does with this engine, or LMDeploy's, as a process: :mod:`launch`, :mod:`child`, :mod:`probe`, :mod:`watch`.

plan.py        what to serve, handed from the job to the engine's process
engine.py      that process: load, listen, leave when asked or when the job is gone
loading.py     tokenizer and weights into memory
adapting.py    an adapter (LoRA) put on its base
generation.py  prompts to tokens, tokens to pieces of text and tool calls
frames.py      pieces on their way to the event loop, a frame at a time
batching.py    the same, several answers at once
parsing.py     tool calls told from text, never losing what the model wrote
requests.py    what a client may ask
replies.py     what it is answered
cutting.py     stop strings
api_errors.py  errors in OpenAI's shape
app.py         routes, key, counters
launch.py      from a spec to what is started, one way for each engine
memory.py      whether the memory is enough
child.py       the engine's process as the job sees it
probe.py       its health and counters
watch.py       health, restarts, idle shutdown
"""
