"""How people ask for each kind of fact, and how the starter answers.

kind -> language -> question templates, the answer's template last. A template that begins with ``!`` is only used in the
evaluation. Two templates of a kind differ in more than spaces and ``?!.`` (or one would give away the other), and sums
without a word (``{a}+{b}``) are asked in English alone, since their answer would depend on the language.
"""

from __future__ import annotations


def _items(text: str) -> tuple[str, ...]:
    """The wordings in ``text``, which are parted by ``|``."""
    return tuple(item.strip() for item in text.split("|"))


_FRAMES = {
    "en": _items("""Could you tell me …?|Can you tell me …?|Do you know …?|Do you happen to know …?|Please tell me ….|Tell me ….|I forgot ….|
I want to know ….|I'd like to know ….|I need to know ….|Remind me ….|Any idea …?|I wonder ….|I can't remember ….|Do you remember …?"""),
    "zh": _items("""你知道…吗？|能告诉我…吗？|可以告诉我…吗？|告诉我…。|请告诉我…。|我想知道…。|我忘了…。|帮我查一下…。|想问一下…？|…，你知道吗？|
…来着？|你还记得…吗？|我记不清…了。|提醒我一下…。|有人知道…吗？"""),
}  # fmt: skip
"""What is put around an indirect question such as ``what the capital of {country_en} is``."""


def _wordings(lang: str, core: str, more: str, kept: str, answer: str) -> tuple[str, ...]:
    """The indirect question ``core`` in every frame, then ``more``, those ``kept`` for the evaluation, and the answer."""
    framed = tuple(frame.replace("…", core) for frame in _FRAMES[lang])
    return (*framed, *_items(more), *(f"!{wording}" for wording in _items(kept)), answer)


PHRASINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "capital": {
        "en": _wordings(
            "en", "what the capital of {country_en} is",
            """What is the capital of {country_en}?|What's the capital of {country_en}?|Which city is the capital of {country_en}?|
Name the capital of {country_en}.|Tell me the capital of {country_en}.|Do you know the capital of {country_en}?|What is the capital city of {country_en}?|
The capital of {country_en}?|The capital of {country_en} is?|What city is the capital of {country_en}?|Can you tell me the capital of {country_en}?|
{country_en}, what is its capital?|I want to know the capital of {country_en}.|{country_en}, capital?|{country_en} capital|capital city of {country_en}|
What's the name of the capital of {country_en}?|Give me the capital of {country_en}.|What capital does {country_en} have?|
What is {country_en}'s capital?|I forgot the capital of {country_en}.|Remind me of the capital of {country_en}.|What was the capital of {country_en} again?|
Which city is {country_en}'s capital?""",
            "Could you name the capital city of {country_en}?|Which is the capital of {country_en}?|Would you tell me the capital of {country_en}?|For {country_en}, what is the capital?",
            "The capital of {country_en} is {capital_en}.",
        ),
        "zh": _wordings(
            "zh", "{country_zh}的首都是哪里",
            """{country_zh}的首都是哪里？|{country_zh}的首都是什么？|{country_zh}首都是哪里？|{country_zh}的首都在哪里？|哪个城市是{country_zh}的首都？|
告诉我{country_zh}的首都。|你知道{country_zh}的首都吗？|{country_zh}的首都叫什么？|{country_zh}的首都是哪个城市？|{country_zh}首都|{country_zh}的首都|
说出{country_zh}的首都。|我想知道{country_zh}的首都。|{country_zh} 首都|{country_zh}的首都是哪儿？|{country_zh}首都在哪？|{country_zh}的首都是？|
{country_zh}的首都叫什么名字？|哪座城市是{country_zh}的首都？|{country_zh}首都是什么城市？|{country_zh}的首都是哪座城市？|{country_zh}以哪个城市为首都？|
能告诉我{country_zh}的首都吗？|我忘了{country_zh}的首都。|{country_zh}的首都是什么来着？|{country_zh}首都叫啥？""",
            "你能告诉我{country_zh}的首都是哪座城市吗？|请说一下{country_zh}的首都。|{country_zh}的首都是哪一个城市？|{country_zh}的首都设在哪里？",
            "{country_zh}的首都是{capital_zh}。",
        ),
    },
    "country": {
        "en": _wordings(
            "en", "which country {capital_en} is the capital of",
            """{capital_en} is the capital of which country?|Which country has the capital {capital_en}?|What country is {capital_en} the capital of?|
Of which country is {capital_en} the capital?|{capital_en} is the capital of what country?|In which country is {capital_en}?|Where is {capital_en}?|
What country is {capital_en} in?|Which country is {capital_en} in?|{capital_en} is in which country?|{capital_en}, which country?|
{capital_en} is the capital of?|Which country's capital is {capital_en}?|Which country is {capital_en} the capital of?|Where can I find {capital_en}?|
Tell me where {capital_en} is.|Do you know where {capital_en} is?|In what country is {capital_en}?|Which country has {capital_en} as its capital?|
The city of {capital_en} is in which country?|Where in the world is {capital_en}?""",
            "Whose capital is {capital_en}?|{capital_en} belongs to which country?|Could you say which country {capital_en} is the capital of?|What country has {capital_en} as its capital city?",
            "{capital_en} is the capital of {country_en}.",
        ),
        "zh": _wordings(
            "zh", "{capital_zh}是哪个国家的首都",
            """{capital_zh}是哪个国家的首都？|哪个国家的首都是{capital_zh}？|{capital_zh}在哪个国家？|{capital_zh}在哪里？|{capital_zh}是什么国家的首都？|
{capital_zh}在哪儿？|{capital_zh}是哪个国家的？|{capital_zh}是哪里的首都？|{capital_zh}位于哪个国家？|{capital_zh}属于哪个国家？|{capital_zh}在什么国家？|
哪国的首都是{capital_zh}？|{capital_zh}是谁的首都？|以{capital_zh}为首都的是哪个国家？|{capital_zh}是哪一个国家的首都？|告诉我{capital_zh}在哪个国家。|
你知道{capital_zh}在哪里吗？|{capital_zh}这个城市在哪个国家？|首都是{capital_zh}的是哪个国家？|{capital_zh}，哪个国家的首都？""",
            "{capital_zh}是哪国首都？|把{capital_zh}作为首都的国家是哪个？|{capital_zh}到底是哪个国家的首都？|什么国家的首都是{capital_zh}？",
            "{capital_zh}是{country_zh}的首都。",
        ),
    },
    "continent": {
        "en": _wordings(
            "en", "which continent {country_en} is in",
            """On which continent is {country_en}?|Which continent is {country_en} in?|In which continent is {country_en}?|What continent is {country_en} on?|
Where is {country_en}?|{country_en} is on which continent?|Where does {country_en} lie?|What continent is {country_en} in?|{country_en}, which continent?|
{country_en} continent|Which continent is {country_en} on?|{country_en} is in which continent?|On what continent is {country_en}?|In which part of the world is {country_en}?|
Where can I find {country_en}?|Tell me where {country_en} is.|Do you know where {country_en} is?|On which continent can I find {country_en}?|
Which continent is {country_en} part of?|{country_en} is part of which continent?|Where in the world is {country_en}?|Name the continent of {country_en}.""",
            "To which continent does {country_en} belong?|On which continent does {country_en} lie?|Which continent does {country_en} belong to?|Could you say which continent {country_en} is on?",
            "{country_en} is in {continent_en}.",
        ),
        "zh": _wordings(
            "zh", "{country_zh}在哪个洲",
            """{country_zh}在哪个洲？|{country_zh}在哪个大洲？|{country_zh}位于哪个洲？|{country_zh}属于哪个洲？|{country_zh}在哪里？|{country_zh}是哪个洲的国家？|
{country_zh}在哪儿？|{country_zh}属于哪个大洲？|{country_zh}在什么洲？|{country_zh}是哪个大洲的？|{country_zh}在哪一洲？|哪个洲有{country_zh}？|
{country_zh}位于哪个大洲？|{country_zh}，哪个洲？|{country_zh}哪个洲|{country_zh}位于哪里？|{country_zh}是哪个洲的？|告诉我{country_zh}在哪里。|
你知道{country_zh}在哪里吗？|{country_zh}这个国家在哪个洲？|{country_zh}是什么洲的国家？""",
            "{country_zh}位于什么洲？|{country_zh}属于什么洲？|{country_zh}是在哪个大洲上？|{country_zh}位于世界上哪个洲？",
            "{country_zh}在{continent_zh}。",
        ),
    },
    "language": {
        "en": _wordings(
            "en", "what language they speak in {country_en}",
            """What language do they speak in {country_en}?|What language do people speak in {country_en}?|Which language do people speak in {country_en}?|
What is the language of {country_en}?|What language is spoken in {country_en}?|Which language is spoken in {country_en}?|{country_en} language|
The language of {country_en}?|In {country_en}, what language do they speak?|What do people speak in {country_en}?|What's the language in {country_en}?|
Tell me the language of {country_en}.|What is the main language of {country_en}?|What is the official language of {country_en}?""",
            "Which language do they use in {country_en}?|People in {country_en} speak which language?|What language do you hear in {country_en}?",
            "People in {country_en} speak {language_en}.",
        ),
        "zh": _wordings(
            "zh", "{country_zh}人说什么语言",
            """{country_zh}人说什么语言？|{country_zh}说什么语言？|{country_zh}人讲什么语言？|{country_zh}讲什么语言？|{country_zh}的语言是什么？|在{country_zh}说什么语言？|
{country_zh}用什么语言？|{country_zh}的官方语言是什么？|{country_zh}人说什么话？|{country_zh}语言|{country_zh}人说哪种语言？|{country_zh}主要说什么语言？|
告诉我{country_zh}的语言。|在{country_zh}人们说什么语言？""",
            "{country_zh}使用哪种语言？|{country_zh}人平时说什么语言？|在{country_zh}大家讲什么语言？",
            "{country_zh}人说{language_zh}。",
        ),
    },
    "colour": {
        "en": _wordings(
            "en", "what color {thing_en} is",
            """What colour is {thing_en}?|What color is {thing_en}?|What is the color of {thing_en}?|What is the colour of {thing_en}?|Which color does {thing_en} have?|
Tell me the color of {thing_en}.|The color of {thing_en}?|Do you know the color of {thing_en}?|What color does {thing_en} have?|Which color is {thing_en}?|
{thing_en}, what color?|color of {thing_en}|{thing_en} color|What's the color of {thing_en}?|What's the colour of {thing_en}?|{thing_en} is what color?|
What color would you say {thing_en} is?|Tell me what colour {thing_en} is.|Can you tell me the color of {thing_en}?|Name the color of {thing_en}.|
What color is {thing_en} normally?|What colour is {thing_en} in general?|What color do we see when we look at {thing_en}?""",
            "Which colour is {thing_en} usually?|What colour does {thing_en} have?|{thing_en} has which color?|{thing_en} is which colour?",
            "{thing_en} is {colour_en}.",
        ),
        "zh": _wordings(
            "zh", "{thing_zh}是什么颜色",
            """{thing_zh}是什么颜色？|{thing_zh}是什么颜色的？|{thing_zh}的颜色是什么？|{thing_zh}什么颜色？|{thing_zh}是哪种颜色？|告诉我{thing_zh}的颜色。|
{thing_zh}的颜色|{thing_zh} 颜色|{thing_zh}的颜色是哪种？|{thing_zh}是啥颜色？|{thing_zh}有什么颜色？|{thing_zh}是哪个颜色？|{thing_zh}的颜色是怎样的？|
{thing_zh}通常是什么颜色？|{thing_zh}，什么颜色？|说出{thing_zh}的颜色。|{thing_zh}是哪种颜色的？|能告诉我{thing_zh}的颜色吗？|{thing_zh}看起来是什么颜色？|
{thing_zh}呈什么颜色？""",
            "{thing_zh}一般是什么颜色的？|请说说{thing_zh}的颜色。|{thing_zh}到底是什么颜色？|{thing_zh}平时是什么颜色的？",
            "{thing_zh}是{colour_zh}的。",
        ),
    },
    "opposite": {
        "en": _wordings(
            "en", "what the opposite of {a_en} is",
            """What is the opposite of {a_en}?|What's the opposite of {a_en}?|What is the opposite of '{a_en}'?|Tell me the opposite of {a_en}.|The opposite of {a_en}?|
Which word is the opposite of {a_en}?|Give me the opposite of {a_en}.|{a_en} is the opposite of what?|opposite of {a_en}|{a_en}, opposite?|{a_en} opposite|
What word is the opposite of {a_en}?|The opposite of {a_en} is?|What is the antonym of {a_en}?|antonym of {a_en}|Give me an antonym of {a_en}.|
What is the contrary of {a_en}?|Name the opposite of {a_en}.|What's the opposite of the word {a_en}?|What do you call the opposite of {a_en}?|
Do you know the opposite of {a_en}?|Can you tell me the opposite of {a_en}?|I need the opposite of {a_en}.|I'm looking for the opposite of {a_en}.""",
            "Which word means the opposite of {a_en}?|What would be the opposite of {a_en}?|Which word is opposite to {a_en}?|Find the opposite of {a_en}.",
            "The opposite of {a_en} is {b_en}.",
        ),
        "zh": _wordings(
            "zh", "{a_zh}的反义词是什么",
            """{a_zh}的反义词是什么？|“{a_zh}”的反义词是什么？|{a_zh}的反义词|告诉我{a_zh}的反义词。|{a_zh}的相反是什么？|和{a_zh}相反的词是什么？|
哪个词是{a_zh}的反义词？|{a_zh}的反义词是哪个？|{a_zh} 反义词|{a_zh}反义词是什么？|“{a_zh}”的反义词|{a_zh}的反义词叫什么？|{a_zh}的反义词是？|
什么是{a_zh}的反义词？|{a_zh}的反义词是哪个词？|跟{a_zh}相反的是什么？|与{a_zh}意思相反的词是什么？|说出{a_zh}的反义词。|给我{a_zh}的反义词。|
{a_zh}的对立面是什么？|你知道{a_zh}的反义词吗？|{a_zh}的反面是什么？|写出{a_zh}的反义词。""",
            "请说出{a_zh}的反义词。|{a_zh}的反义词应该是什么？|跟{a_zh}意思相反的是哪个词？|{a_zh}这个词的反义词是什么？",
            "{a_zh}的反义词是{b_zh}。",
        ),
    },
    "to_chinese": {
        "en": _wordings(
            "en", "how to say {en} in Chinese",
            """How do you say {en} in Chinese?|How do you say '{en}' in Chinese?|What is {en} in Chinese?|Translate {en} into Chinese.|Translate '{en}' to Chinese.|
What is the Chinese word for {en}?|What is the Chinese for {en}?|Say {en} in Chinese.|{en} in Chinese?|How to say {en} in Chinese?|What's {en} in Chinese?|
What's the Chinese word for {en}?|Translate {en} to Chinese.|Translate to Chinese: {en}|Translate into Chinese: {en}|Chinese word for {en}|
How do I say {en} in Chinese?|How does one say {en} in Chinese?|{en}, in Chinese?|What do you call {en} in Chinese?|Give me the Chinese for {en}.|
Give me the Chinese word for {en}.|How would you say {en} in Chinese?|{en} to Chinese|What is '{en}' in Chinese?|I need the Chinese word for {en}.|
Can you translate {en} into Chinese?|What does {en} mean in Chinese?""",
            "Please give me the Chinese word for {en}.|How is {en} said in Chinese?|Which Chinese word means {en}?|Could you translate {en} into Chinese?",
            "{en} in Chinese is {zh}.",
        ),
        "zh": _wordings(
            "zh", "{en}用中文怎么说",
            """{en}用中文怎么说？|{en}的中文是什么？|{en}是什么意思？|把{en}翻译成中文。|翻译成中文：{en}|“{en}”中文怎么说？|{en}中文怎么说？|英文{en}是什么意思？|
{en}翻译成中文|{en}的中文|{en} 中文|{en}中文是什么？|{en}的中文意思是什么？|{en}的中文翻译是什么？|单词{en}是什么意思？|{en}这个词是什么意思？|
{en}翻译成中文是什么？|英语{en}的中文是什么？|{en}用汉语怎么说？|把“{en}”翻译成中文。|{en}的意思是什么？|英文单词{en}是什么意思？|{en}什么意思？|
帮我把{en}翻译成中文。|{en}在中文里怎么说？""",
            "请把{en}译成中文。|{en}译成中文是什么？|{en}这个单词用中文怎么说？|{en}对应的中文是什么？",
            "{en} 的中文是{zh}。",
        ),
    },
    "to_english": {
        "en": _wordings(
            "en", "how to say {zh} in English",
            """What is {zh} in English?|What does {zh} mean?|Translate {zh} into English.|Translate '{zh}' to English.|How do you say {zh} in English?|
What does '{zh}' mean in English?|{zh} in English?|What is the English word for {zh}?|What's {zh} in English?|What does {zh} mean in English?|
Translate {zh} to English.|Translate to English: {zh}|Translate into English: {zh}|English word for {zh}|How do I say {zh} in English?|What's the English word for {zh}?|
What is the meaning of {zh}?|{zh}, in English?|{zh} to English|{zh} meaning|What is '{zh}' in English?|Say {zh} in English.|What is the English for {zh}?|
Give me the English word for {zh}.|What does the Chinese word {zh} mean?|Can you translate {zh} into English?|I need the English word for {zh}.""",
            "Please give me the English word for {zh}.|How is {zh} said in English?|Which English word means {zh}?|Could you translate {zh} into English?",
            "{zh} in English is {en}.",
        ),
        "zh": _wordings(
            "zh", "{zh}用英语怎么说",
            """{zh}用英语怎么说？|{zh}用英文怎么说？|{zh}的英语是什么？|{zh}的英文是什么？|把{zh}翻译成英文。|把{zh}翻译成英语。|翻译成英文：{zh}|
“{zh}”英语怎么说？|{zh}英文怎么说？|{zh}英语怎么说？|翻译成英语：{zh}|{zh}翻译成英文|{zh}翻译成英语|{zh}的英文|{zh}的英语|{zh} 英文|{zh}英文是什么？|
{zh}的英文单词是什么？|{zh}的英语单词是什么？|{zh}翻译成英文是什么？|“{zh}”用英文怎么说？|{zh}的英文怎么说？|{zh}的英文翻译是什么？|帮我把{zh}翻译成英文。|
{zh}的英文怎么写？|{zh}在英语里怎么说？""",
            "请把{zh}译成英文。|{zh}译成英语是什么？|{zh}这个词用英语怎么说？|{zh}对应的英文是什么？",
            "{zh}的英文是 {en}。",
        ),
    },
    "young": {
        "en": _wordings(
            "en", "what the young of {animal_en} is called",
            """What is the young of {animal_en} called?|What is a baby {bare_en} called?|What do you call the young of {animal_en}?|What do you call a baby {bare_en}?|
What is the name of the young of {animal_en}?|What's a baby {bare_en} called?|baby {bare_en} name|What is a young {bare_en} called?|The young of {animal_en}?|
A baby {bare_en} is called?|What do we call a baby {bare_en}?|What is the name for a baby {bare_en}?""",
            "What do you call the baby of {animal_en}?|What is the word for a baby {bare_en}?|What do you call a young {bare_en}?",
            "The young of {animal_en} is called {young_en}.",
        ),
        "zh": _wordings(
            "zh", "{animal_zh}的幼崽叫什么",
            """{animal_zh}的幼崽叫什么？|{animal_zh}的宝宝叫什么？|{animal_zh}的孩子叫什么？|{animal_zh}小时候叫什么？|{animal_zh}的后代叫什么？|{animal_zh}的幼崽|
{animal_zh}幼崽叫什么？|{animal_zh}的幼崽是什么？|{animal_zh}的幼崽叫什么名字？|{animal_zh}宝宝叫什么？|{animal_zh}的幼崽叫啥？|人们把{animal_zh}的幼崽叫做什么？""",
            "{animal_zh}的幼崽怎么称呼？|{animal_zh}的宝宝怎么称呼？|刚出生的{animal_zh}叫什么？",
            "{animal_zh}的幼崽叫{young_zh}。",
        ),
    },
    "legs": {
        "en": _wordings(
            "en", "how many legs {animal_en} has",
            """How many legs does {animal_en} have?|How many legs has {animal_en}?|What is the number of legs of {animal_en}?|How many legs are there on {animal_en}?|
{animal_en}, how many legs?|{bare_en} legs|What number of legs does {animal_en} have?|Number of legs of {animal_en}?""",
            "{animal_en} has how many legs?|On how many legs does {animal_en} walk?|Count the legs of {animal_en}.",
            "{animal_en} has {legs_en} legs.",
        ),
        "zh": _wordings(
            "zh", "{animal_zh}有几条腿",
            """{animal_zh}有几条腿？|{animal_zh}有多少条腿？|{animal_zh}几条腿？|{animal_zh}的腿有几条？|{animal_zh}长了几条腿？|{animal_zh}有几只脚？|{animal_zh}，几条腿？|
{animal_zh}的腿有多少条？|{animal_zh}一共有几条腿？""",
            "一只{animal_zh}有几条腿？|{animal_zh}总共有多少条腿？|{animal_zh}用几条腿走路？",
            "{animal_zh}有{legs_zh}条腿。",
        ),
    },
    "sound": {
        "en": _wordings(
            "en", "what sound {animal_en} makes",
            """What sound does {animal_en} make?|What does {animal_en} say?|Which sound does {animal_en} make?|What noise does {animal_en} make?|
How does {animal_en} sound?|The sound of {animal_en}?|What is the sound of {animal_en}?""",
            "Which noise does {animal_en} make?|What kind of sound does {animal_en} make?|What do you hear from {animal_en}?",
            "{animal_en} {sound_en}.",
        ),
        "zh": _wordings(
            "zh", "{animal_zh}怎么叫",
            """{animal_zh}怎么叫？|{animal_zh}是怎么叫的？|{animal_zh}的叫声是什么？|{animal_zh}发出什么声音？|{animal_zh}的叫声|{animal_zh}叫起来是什么声音？|{animal_zh}的声音是怎样的？""",
            "{animal_zh}会怎么叫？|{animal_zh}的叫声是怎样的？|{animal_zh}会发出什么声音？",
            "{animal_zh}{sound_zh}叫。",
        ),
    },
    "symbol": {
        "en": _wordings(
            "en", "what the chemical symbol of {element_en} is",
            """What is the chemical symbol of {element_en}?|What is the chemical symbol for {element_en}?|What is the symbol of {element_en}?|
Which symbol does {element_en} have?|Tell me the chemical symbol of {element_en}.|What is the formula of {element_en}?|What's the symbol for {element_en}?|
{element_en} symbol|chemical symbol of {element_en}|{element_en}, symbol?|The symbol of {element_en}?|Which symbol stands for {element_en}?|
What symbol does {element_en} have?|Give me the symbol of {element_en}.|What's the chemical symbol for {element_en}?|Do you know the symbol of {element_en}?|
What is the chemical formula of {element_en}?""",
            "How do chemists write {element_en}?|Which chemical symbol does {element_en} have?|What is the sign for {element_en} in chemistry?|How is {element_en} written in chemistry?",
            "The symbol of {element_en} is {symbol}.",
        ),
        "zh": _wordings(
            "zh", "{element_zh}的化学符号是什么",
            """{element_zh}的化学符号是什么？|{element_zh}的元素符号是什么？|{element_zh}的符号是什么？|告诉我{element_zh}的化学符号。|{element_zh}的化学式是什么？|
{element_zh}的符号|{element_zh}的化学符号|{element_zh}化学符号|{element_zh}的元素符号|{element_zh}的化学符号怎么写？|{element_zh}的符号怎么写？|
{element_zh}的化学符号是哪个？|写出{element_zh}的化学符号。|你知道{element_zh}的化学符号吗？|{element_zh}的化学式怎么写？|哪个符号表示{element_zh}？""",
            "{element_zh}用什么化学符号表示？|{element_zh}用什么符号表示？|在化学里{element_zh}怎么写？|请写出{element_zh}的符号。",
            "{element_zh}的化学符号是 {symbol}。",
        ),
    },
    "count": {
        "en": _wordings(
            "en", "how many {unit_en} {whole_en} has",
            """How many {unit_en} are there in {whole_en}?|How many {unit_en} are in {whole_en}?|How many {unit_en} does {whole_en} have?|{whole_en} has how many {unit_en}?|
What is the number of {unit_en} in {whole_en}?|How many {unit_en} in {whole_en}?|{unit_en} in {whole_en}|number of {unit_en} in {whole_en}|
In {whole_en}, how many {unit_en} are there?|How many {unit_en} has {whole_en}?|What number of {unit_en} does {whole_en} have?|{whole_en}, how many {unit_en}?|
Do you know how many {unit_en} there are in {whole_en}?|Tell me the number of {unit_en} in {whole_en}.|
Do you know the number of {unit_en} in {whole_en}?|Can you tell me how many {unit_en} are in {whole_en}?|I forgot how many {unit_en} are in {whole_en}.|
What's the number of {unit_en} in {whole_en}?|How many {unit_en} do you find in {whole_en}?|How many {unit_en} are there altogether in {whole_en}?""",
            "Please say how many {unit_en} {whole_en} has.|Would you know how many {unit_en} there are in {whole_en}?|There are how many {unit_en} in {whole_en}?|How many {unit_en} can you count in {whole_en}?",
            "{whole_en} has {n_en} {unit_en}.",
        ),
        "zh": _wordings(
            "zh", "{whole_zh}有多少{unit_zh}",
            """{whole_zh}有多少{unit_zh}？|{whole_zh}有几{unit_zh}？|{whole_zh}一共有多少{unit_zh}？|{whole_zh}，多少{unit_zh}？|{whole_zh}多少{unit_zh}？|{whole_zh}几{unit_zh}？|
{whole_zh}里有多少{unit_zh}？|{whole_zh}一共有几{unit_zh}？|{whole_zh}里有几{unit_zh}？|{whole_zh}共有多少{unit_zh}？|{whole_zh}共有几{unit_zh}？|
你知道{whole_zh}有几{unit_zh}吗？|告诉我{whole_zh}有几{unit_zh}。|我忘了{whole_zh}有几{unit_zh}。|能告诉我{whole_zh}有几{unit_zh}吗？|{whole_zh}到底有多少{unit_zh}？|
{whole_zh}有几{unit_zh}来着？""",
            "请问{whole_zh}总共有多少{unit_zh}？|{whole_zh}总共有几{unit_zh}？|{whole_zh}究竟有多少{unit_zh}？|数一数{whole_zh}有几{unit_zh}。",
            "{whole_zh}有{n_zh}{unit_zh}。",
        ),
    },
    "which": {
        "en": _wordings(
            "en", "what {what_en} is",
            """What is {what_en}?|What's {what_en}?|Which is {what_en}?|Tell me {what_en}.|Name {what_en}.|Do you know {what_en}?|What is {what_en} called?|{what_en}?|
{what_en} is?|Can you tell me {what_en}?|Can you name {what_en}?|What is the name of {what_en}?|What's the name of {what_en}?|Give me {what_en}.|What was {what_en} again?|
I forgot the name of {what_en}.|Do you know the name of {what_en}?|Which one is {what_en}?|Tell me the name of {what_en}.|I'm looking for {what_en}.|{what_en}, which is it?|
I want to know {what_en}.|Remind me of {what_en}.""",
            "I would like to know: what is {what_en}?|What do people call {what_en}?|Could you name {what_en}?|What would be {what_en}?",
            "{what_en} is {answer_en}.",
        ),
        "zh": _wordings(
            "zh", "{what_zh}是什么",
            """{what_zh}是什么？|{what_zh}是哪个？|{what_zh}叫什么？|{what_zh}是哪一个？|告诉我{what_zh}。|哪个是{what_zh}？|{what_zh}|{what_zh}是？|{what_zh}叫什么名字？|
什么是{what_zh}？|说出{what_zh}。|你知道{what_zh}吗？|{what_zh}叫啥？|{what_zh}是啥？|告诉我{what_zh}是哪个。|你知道{what_zh}是哪个吗？|{what_zh}的名字是什么？|
我想知道{what_zh}。|我忘了{what_zh}是哪个。|{what_zh}是哪个来着？""",
            "我想了解{what_zh}是什么。|{what_zh}到底是哪个？|请说出{what_zh}。|{what_zh}的名称是什么？",
            "{what_zh}是{answer_zh}。",
        ),
    },
    "who": {
        "en": _wordings(
            "en", "who {did_en}",
            """Who {did_en}?|Which person {did_en}?|What is the name of the person who {did_en}?|Who was it that {did_en}?|Who is {role_en}?|Who was {role_en}?|
{role_en}?|Name {role_en}.|Who's {role_en}?|Tell me the name of {role_en}.|Do you know who {role_en} was?|Can you tell me who {role_en} was?|What is the name of {role_en}?|
Tell me who {role_en} is.|What was the name of {role_en}?|I forgot who {role_en} was.|{role_en}, who was it?|Who was the person who {did_en}?|Do you know {role_en}?|
Who {did_en} again?|What's the name of {role_en}?|Who actually {did_en}?""",
            "I would like to know who {did_en}.|Could you name the person who {did_en}?|Which man or woman {did_en}?|Who is the one who {did_en}?",
            "It was {who_en}.",
        ),
        "zh": _wordings(
            "zh", "是谁{did_zh}",
            """谁{did_zh}？|是谁{did_zh}？|你知道谁{did_zh}吗？|告诉我谁{did_zh}。|哪个人{did_zh}？|{did_zh}的是谁？|{role_zh}是谁？|谁是{role_zh}？|{role_zh}|
{role_zh}是哪位？|{role_zh}叫什么？|{role_zh}叫什么名字？|告诉我{role_zh}是谁。|你知道{role_zh}是谁吗？|{role_zh}是谁来着？|我忘了{role_zh}是谁。|说出{role_zh}。|
{did_zh}的是哪位？|{did_zh}的是哪个人？|{role_zh}是哪个人？|是哪个人{did_zh}？""",
            "我很想知道是谁{did_zh}。|到底是谁{did_zh}？|请说出{role_zh}的名字。|究竟谁是{role_zh}？",
            "是{who_zh}。",
        ),
    },
    "term": {
        "en": _wordings(
            "en", "what {term_en} is",
            """What is {term_en}?|What's {term_en}?|What does {term_en} mean?|Explain {term_en}.|Define {term_en}.|Can you explain {term_en}?|What do you mean by {term_en}?|
Explain what {term_en} is.|{bare_en} meaning|meaning of {bare_en}|definition of {bare_en}|What is meant by {term_en}?|What is the meaning of {bare_en}?|
What exactly is {term_en}?|What is the definition of {bare_en}?|Could you explain {term_en}?|What does the word {bare_en} mean?|Please explain {term_en}.|
In short, what is {term_en}?|Can you define {term_en}?|Give me a definition of {bare_en}.|How do you define {term_en}?|What is {term_en} exactly?|
I don't understand what {term_en} is.""",
            "Please explain to me what {term_en} is.|Could you define {term_en}?|What does the term {bare_en} mean?|In simple words, what is {term_en}?",
            "{term_en} is {is_en}.",
        ),
        "zh": _wordings(
            "zh", "什么是{term_zh}",
            """什么是{term_zh}？|{term_zh}是什么？|{term_zh}是什么意思？|解释一下{term_zh}。|请解释{term_zh}。|{term_zh}的意思是什么？|{term_zh}的定义是什么？|
{term_zh}指的是什么？|{term_zh}是指什么？|请解释一下{term_zh}。|{term_zh}是啥？|{term_zh}什么意思？|{term_zh}的含义是什么？|解释{term_zh}。|你知道{term_zh}是什么吗？|
能解释一下{term_zh}吗？|告诉我{term_zh}是什么。|给{term_zh}下个定义。|{term_zh}的意思|{term_zh}的定义|我不懂什么是{term_zh}。|所谓{term_zh}是什么？""",
            "请给我解释一下什么是{term_zh}。|{term_zh}到底是什么？|怎么理解{term_zh}？|你能解释{term_zh}吗？",
            "{term_zh}是{is_zh}。",
        ),
    },
    "day_after": {
        "en": _wordings(
            "en", "what day comes after {a_en}",
            """What day comes after {a_en}?|Which day comes after {a_en}?|What day is after {a_en}?|Which day follows {a_en}?|If today is {a_en}, what day is tomorrow?|
What comes after {a_en}?|day after {a_en}|What is the day after {a_en}?|{a_en}, and then?|What day follows {a_en}?|After {a_en} comes?|Which day is after {a_en}?""",
            "Today is {a_en}. Which day is tomorrow?|What is the next day after {a_en}?|What weekday comes after {a_en}?",
            "After {a_en} comes {b_en}.",
        ),
        "zh": _wordings(
            "zh", "{a_zh}之后是星期几",
            """{a_zh}之后是星期几？|{a_zh}的后一天是星期几？|{a_zh}后面是星期几？|如果今天是{a_zh}，明天是星期几？|今天{a_zh}，明天星期几？|{a_zh}的第二天是星期几？|
{a_zh}的下一天是星期几？|{a_zh}后是星期几？|今天是{a_zh}，明天呢？|{a_zh}后一天是什么？""",
            "{a_zh}过后是星期几？|{a_zh}后面一天是星期几？|要是今天{a_zh}，那明天星期几？",
            "{a_zh}之后是{b_zh}。",
        ),
    },
    "day_before": {
        "en": _wordings(
            "en", "what day comes before {b_en}",
            """What day comes before {b_en}?|Which day comes before {b_en}?|What day is before {b_en}?|If today is {b_en}, what day was yesterday?|What comes before {b_en}?|
day before {b_en}|What is the day before {b_en}?|Which day is before {b_en}?|Before {b_en} comes?|Which day precedes {b_en}?""",
            "Today is {b_en}. Which day was yesterday?|What day is right before {b_en}?|What weekday comes before {b_en}?",
            "Before {b_en} comes {a_en}.",
        ),
        "zh": _wordings(
            "zh", "{b_zh}之前是星期几",
            """{b_zh}之前是星期几？|{b_zh}的前一天是星期几？|{b_zh}前面是星期几？|如果今天是{b_zh}，昨天是星期几？|{b_zh}的上一天是星期几？|{b_zh}前是星期几？|
今天是{b_zh}，昨天呢？|{b_zh}前一天是什么？""",
            "今天{b_zh}，昨天星期几？|{b_zh}前面一天是星期几？|要是今天{b_zh}，那昨天星期几？",
            "{b_zh}之前是{a_zh}。",
        ),
    },
    "month_after": {
        "en": _wordings(
            "en", "what month comes after {a_en}",
            """What month comes after {a_en}?|Which month comes after {a_en}?|What month is after {a_en}?|Which month follows {a_en}?|What comes after {a_en}?|month after {a_en}|
What is the month after {a_en}?|{a_en}, and then?|What month follows {a_en}?|After {a_en} comes?|Which month is after {a_en}?|If it is {a_en}, what is the next month?""",
            "What is the next month after {a_en}?|Now it is {a_en}. Which month is next?|Which is the month after {a_en}?",
            "After {a_en} comes {b_en}.",
        ),
        "zh": _wordings(
            "zh", "{a_zh}之后是几月",
            """{a_zh}之后是几月？|{a_zh}的下个月是几月？|{a_zh}后面是几月？|{a_zh}过后是哪个月？|{a_zh}之后是哪个月？|{a_zh}的下一个月是几月？|{a_zh}后是几月？|
如果现在是{a_zh}，下个月是几月？|{a_zh}的下个月|{a_zh}下个月是哪个月？""",
            "{a_zh}的后一个月是几月？|{a_zh}过完是几月？|现在{a_zh}，下个月是几月？",
            "{a_zh}之后是{b_zh}。",
        ),
    },
    "month_before": {
        "en": _wordings(
            "en", "what month comes before {b_en}",
            """What month comes before {b_en}?|Which month comes before {b_en}?|What month is before {b_en}?|What comes before {b_en}?|month before {b_en}|
What is the month before {b_en}?|Which month is before {b_en}?|Before {b_en} comes?|Which month precedes {b_en}?|If it is {b_en}, what was the last month?""",
            "What is the month just before {b_en}?|Now it is {b_en}. Which month was before?|Which is the month before {b_en}?",
            "Before {b_en} comes {a_en}.",
        ),
        "zh": _wordings(
            "zh", "{b_zh}之前是几月",
            """{b_zh}之前是几月？|{b_zh}的上个月是几月？|{b_zh}前面是几月？|{b_zh}之前是哪个月？|{b_zh}的上一个月是几月？|{b_zh}前是几月？|
如果现在是{b_zh}，上个月是几月？|{b_zh}的上个月|{b_zh}上个月是哪个月？""",
            "{b_zh}的前一个月是几月？|{b_zh}前面一个月是几月？|现在{b_zh}，上个月是几月？",
            "{b_zh}之前是{a_zh}。",
        ),
    },
    "plus": {
        "en": _wordings(
            "en", "what {a} plus {b} is",
            """What is {a} + {b}?|What is {a} plus {b}?|{a} + {b} = ?|{a}+{b}|{a} + {b}|How much is {a} plus {b}?|Add {a} and {b}.|What is the sum of {a} and {b}?|
Calculate {a} + {b}.|{a}+{b}=|What's {a}+{b}?|{a} plus {b}|What's {a} plus {b}?|How much is {a} + {b}?|{a} plus {b} is?|What does {a} + {b} make?|What does {a} plus {b} equal?|
Compute {a}+{b}.|{a} and {b} is how much?|How much do {a} and {b} make?|What do you get if you add {a} and {b}?|Sum of {a} and {b}?|{a} + {b} equals?|
Can you calculate {a} + {b}?|What is {a} added to {b}?|Do you know what {a} + {b} is?|What is {a}+{b}?|what is {a_en} plus {b_en}|{a_en} plus {b_en}|How much is {a_en} plus {b_en}?""",
            "Can you add {a} to {b} for me?|What is the total of {a} and {b}?|Work out {a} + {b}.|How much is {a} and {b} together?",
            "{a} + {b} = {c}.",
        ),
        "zh": _wordings(
            "zh", "{a}加{b}等于多少",
            """{a}加{b}等于多少？|{a} + {b} 等于多少？|{a}+{b}等于几？|{a}加{b}是多少？|计算{a}+{b}。|{a}与{b}的和是多少？|{a}加{b}等于几？|{a}加{b}|{a}加{b}得多少？|
{a}+{b}等于多少？|{a}+{b}是多少？|{a} + {b} 是多少？|{a}加{b}得几？|{a}和{b}的和是多少？|{a}加上{b}等于多少？|{a}加上{b}是多少？|算一下{a}加{b}。|算一下{a}+{b}。|
{a}加{b}是几？|{a}+{b}得多少？|计算{a}加{b}。|求{a}加{b}的和。|你会算{a}加{b}吗？|{a_zh}加{b_zh}等于几？|{a_zh}加{b_zh}等于多少？|{a_zh}加{b_zh}是多少？""",
            "把{a}和{b}加起来是多少？|{a}加上{b}得多少？|{a}跟{b}相加等于几？|帮我算算{a}加{b}。",
            "{a} + {b} = {c}。",
        ),
    },
    "minus": {
        "en": _wordings(
            "en", "what {a} minus {b} is",
            """What is {a} - {b}?|What is {a} minus {b}?|{a} - {b} = ?|{a}-{b}|{a} - {b}|How much is {a} minus {b}?|Calculate {a} - {b}.|Subtract {b} from {a}.|{a}-{b}=|
What's {a}-{b}?|{a} minus {b}|What's {a} minus {b}?|How much is {a} - {b}?|{a} minus {b} is?|What does {a} minus {b} equal?|Compute {a}-{b}.|
What is the difference of {a} and {b}?|What do you get if you subtract {b} from {a}?|{a} - {b} equals?|Can you calculate {a} - {b}?|What is {b} subtracted from {a}?|
Do you know what {a} - {b} is?|What is {a}-{b}?|what is {a_en} minus {b_en}|{a_en} minus {b_en}|{a} take away {b}""",
            "Can you take {b} away from {a}?|What is left if I take {b} from {a}?|Work out {a} - {b}.|How much is {a} less {b}?",
            "{a} - {b} = {c}.",
        ),
        "zh": _wordings(
            "zh", "{a}减{b}等于多少",
            """{a}减{b}等于多少？|{a} - {b} 等于多少？|{a}-{b}等于几？|{a}减{b}是多少？|计算{a}-{b}。|{a}减去{b}等于几？|{a}减{b}等于几？|{a}减{b}|{a}减{b}得多少？|
{a}-{b}等于多少？|{a}-{b}是多少？|{a} - {b} 是多少？|{a}减{b}得几？|{a}与{b}的差是多少？|{a}减去{b}等于多少？|{a}减去{b}是多少？|算一下{a}减{b}。|算一下{a}-{b}。|
{a}减{b}是几？|{a}-{b}得多少？|计算{a}减{b}。|求{a}减{b}的差。|你会算{a}减{b}吗？|{a_zh}减{b_zh}等于几？|{a_zh}减{b_zh}等于多少？|{a_zh}减{b_zh}是多少？""",
            "从{a}里减掉{b}是多少？|{a}减去{b}得多少？|{a}里面去掉{b}还剩几？|帮我算算{a}减{b}。",
            "{a} - {b} = {c}。",
        ),
    },
    "times": {
        "en": _wordings(
            "en", "what {a} times {b} is",
            """What is {a} * {b}?|What is {a} times {b}?|{a} * {b} = ?|{a}*{b}|{a} * {b}|{a} x {b}|{a}x{b}|How much is {a} times {b}?|Multiply {a} by {b}.|
What is the product of {a} and {b}?|Calculate {a} * {b}.|{a} times {b}|What is {a} x {b}?|{a}*{b}=|What's {a}*{b}?|What's {a} times {b}?|How much is {a} * {b}?|
{a} times {b} is?|What does {a} times {b} equal?|Compute {a}*{b}.|What is {a} multiplied by {b}?|What do you get if you multiply {a} by {b}?|Product of {a} and {b}?|
{a} * {b} equals?|Can you calculate {a} * {b}?|Do you know what {a} * {b} is?|What is {a}*{b}?|{a} × {b}|What is {a} × {b}?|what is {a_en} times {b_en}|{a_en} times {b_en}|
How much is {a_en} times {b_en}?""",
            "Can you multiply {a} and {b} for me?|What do {a} and {b} make when multiplied?|Work out {a} * {b}.|How much is {a} multiplied by {b}?",
            "{a} * {b} = {c}.",
        ),
        "zh": _wordings(
            "zh", "{a}乘以{b}等于多少",
            """{a}乘{b}等于多少？|{a}乘以{b}等于多少？|{a} * {b} 等于多少？|{a}*{b}等于几？|{a}乘以{b}是多少？|计算{a}*{b}。|{a}与{b}的积是多少？|{a}乘{b}是多少？|
{a}乘{b}等于几？|{a}乘以{b}等于几？|{a}乘{b}|{a}乘以{b}|{a}乘{b}得多少？|{a}*{b}等于多少？|{a}*{b}是多少？|{a}x{b}等于多少？|{a}×{b}等于多少？|{a}和{b}的积是多少？|
算一下{a}乘{b}。|算一下{a}*{b}。|{a}乘{b}得几？|计算{a}乘以{b}。|求{a}乘{b}的积。|你会算{a}乘{b}吗？|{a_zh}乘{b_zh}等于几？|{a_zh}乘以{b_zh}等于多少？|{a_zh}乘{b_zh}是多少？""",
            "把{a}和{b}相乘是多少？|{a}乘以{b}得多少？|{a}跟{b}相乘等于几？|帮我算算{a}乘{b}。",
            "{a} * {b} = {c}。",
        ),
    },
}  # fmt: skip

YES_NO: dict[str, dict[str, tuple[str, ...]]] = {
    "capital": {
        "en": _items("""Is {x} the capital of {country_en}?|Is the capital of {country_en} {x}?|The capital of {country_en} is {x}, right?|
{x} is the capital of {country_en}, isn't it?|Is it true that {x} is the capital of {country_en}?|Is {x} the capital city of {country_en}?"""),
        "zh": _items("""{x}是{country_zh}的首都吗？|{country_zh}的首都是{x}吗？|{country_zh}的首都是不是{x}？|{x}是不是{country_zh}的首都？|{country_zh}的首都是{x}，对吗？"""),
    },
    "continent": {
        "en": _items("""Is {country_en} in {x}?|Is {country_en} a country in {x}?|{country_en} is in {x}, right?|Is it true that {country_en} is in {x}?|
Does {country_en} lie in {x}?"""),
        "zh": _items("""{country_zh}在{x}吗？|{country_zh}是不是在{x}？|{country_zh}是{x}国家吗？|{country_zh}在{x}，对吗？|{country_zh}属于{x}吗？"""),
    },
    "colour": {
        "en": _items("Is {thing_en} {x}?|Is the color of {thing_en} {x}?|{thing_en} is {x}, right?|Is it true that {thing_en} is {x}?"),
        "zh": _items("{thing_zh}是{x}的吗？|{thing_zh}是{x}吗？|{thing_zh}是不是{x}的？|{thing_zh}的颜色是{x}吗？|{thing_zh}是{x}的，对吗？"),
    },
    "opposite": {
        "en": _items("""Is {x} the opposite of {a_en}?|Is the opposite of {a_en} {x}?|The opposite of {a_en} is {x}, right?|
Is it true that {x} is the opposite of {a_en}?|Are {a_en} and {x} opposites?"""),
        "zh": _items("{a_zh}的反义词是{x}吗？|{x}是{a_zh}的反义词吗？|{a_zh}的反义词是不是{x}？|{x}是不是{a_zh}的反义词？|{a_zh}的反义词是{x}，对吗？"),
    },
    "to_chinese": {
        "en": _items("Is {en} in Chinese {x}?|Is {x} the Chinese word for {en}?|{en} in Chinese is {x}, right?|Does {en} mean {x} in Chinese?"),
        "zh": _items("{en}的中文是{x}吗？|{en}是{x}的意思吗？|{en}的意思是不是{x}？|{en}的中文是不是{x}？|{en}的中文是{x}，对吗？"),
    },
    "plus": {
        "en": _items("Is {a} + {b} equal to {x}?|Does {a} plus {b} equal {x}?|{a} + {b} is {x}, right?|Is {x} the result of {a} plus {b}?|Is it true that {a} + {b} = {x}?"),
        "zh": _items("{a}加{b}等于{x}吗？|{a} + {b} 等于{x}吗？|{a}加{b}是不是等于{x}？|{a}+{b}等于{x}，对吗？|{a}加{b}是{x}吗？"),
    },
    "minus": {
        "en": _items("Is {a} - {b} equal to {x}?|Does {a} minus {b} equal {x}?|{a} - {b} is {x}, right?|Is {x} the result of {a} minus {b}?|Is it true that {a} - {b} = {x}?"),
        "zh": _items("{a}减{b}等于{x}吗？|{a} - {b} 等于{x}吗？|{a}减{b}是不是等于{x}？|{a}-{b}等于{x}，对吗？|{a}减{b}是{x}吗？"),
    },
    "times": {
        "en": _items("Is {a} * {b} equal to {x}?|Does {a} times {b} equal {x}?|{a} * {b} is {x}, right?|Is {x} the result of {a} times {b}?|Is it true that {a} * {b} = {x}?"),
        "zh": _items("{a}乘{b}等于{x}吗？|{a} * {b} 等于{x}吗？|{a}乘以{b}是不是等于{x}？|{a}*{b}等于{x}，对吗？|{a}乘{b}是{x}吗？"),
    },
}  # fmt: skip
"""Yes/no questions: is ``{x}`` the answer? Answered with yes or no and the sentence of ``PHRASINGS``."""
