"""How people ask for each kind of fact, and how the starter answers.

kind -> language -> question templates, the answer's template last. A template that begins with ``!`` is only used in the
evaluation.
"""

PHRASINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "capital": {
        "en": (
            "What is the capital of {country_en}?", "What's the capital of {country_en}?", "Which city is the capital of {country_en}?",
            "Name the capital of {country_en}.", "Tell me the capital of {country_en}.", "Do you know the capital of {country_en}?",
            "What is the capital city of {country_en}?", "The capital of {country_en}?", "The capital of {country_en} is?",
            "What city is the capital of {country_en}?", "Can you tell me the capital of {country_en}?", "{country_en}, what is its capital?",
            "I want to know the capital of {country_en}.", "capital of {country_en}",
            "!Could you name the capital city of {country_en}?",
            "The capital of {country_en} is {capital_en}.",
        ),
        "zh": (
            "{country_zh}的首都是哪里？", "{country_zh}的首都是什么？", "{country_zh}首都是哪里？", "{country_zh}的首都在哪里？",
            "哪个城市是{country_zh}的首都？", "告诉我{country_zh}的首都。", "你知道{country_zh}的首都吗？", "{country_zh}的首都叫什么？",
            "{country_zh}的首都是哪个城市？", "{country_zh}首都", "{country_zh}的首都", "说出{country_zh}的首都。", "我想知道{country_zh}的首都。",
            "!你能告诉我{country_zh}的首都是哪座城市吗？",
            "{country_zh}的首都是{capital_zh}。",
        ),
    },
    "country": {
        "en": (
            "{capital_en} is the capital of which country?", "Which country has the capital {capital_en}?", "What country is {capital_en} the capital of?",
            "Of which country is {capital_en} the capital?", "{capital_en} is the capital of what country?", "In which country is {capital_en}?",
            "Where is {capital_en}?", "What country is {capital_en} in?",
            "!Whose capital is {capital_en}?",
            "{capital_en} is the capital of {country_en}.",
        ),
        "zh": (
            "{capital_zh}是哪个国家的首都？", "哪个国家的首都是{capital_zh}？", "{capital_zh}在哪个国家？", "{capital_zh}在哪里？",
            "{capital_zh}是什么国家的首都？", "你知道{capital_zh}是哪个国家的首都吗？",
            "!{capital_zh}是哪国首都？",
            "{capital_zh}是{country_zh}的首都。",
        ),
    },
    "continent": {
        "en": (
            "On which continent is {country_en}?", "Which continent is {country_en} in?", "In which continent is {country_en}?",
            "What continent is {country_en} on?", "Where is {country_en}?", "{country_en} is on which continent?", "Where does {country_en} lie?",
            "!To which continent does {country_en} belong?",
            "{country_en} is in {continent_en}.",
        ),
        "zh": (
            "{country_zh}在哪个洲？", "{country_zh}在哪个大洲？", "{country_zh}位于哪个洲？", "{country_zh}属于哪个洲？", "{country_zh}在哪里？",
            "{country_zh}是哪个洲的国家？",
            "!{country_zh}位于什么洲？",
            "{country_zh}在{continent_zh}。",
        ),
    },
    "colour": {
        "en": (
            "What colour is {thing_en}?", "What color is {thing_en}?", "What is the color of {thing_en}?", "What is the colour of {thing_en}?",
            "Which color does {thing_en} have?", "Tell me the color of {thing_en}.", "The color of {thing_en}?", "Do you know the color of {thing_en}?",
            "What color does {thing_en} have?",
            "!Which colour is {thing_en} usually?",
            "{thing_en} is {colour_en}.",
        ),
        "zh": (
            "{thing_zh}是什么颜色？", "{thing_zh}是什么颜色的？", "{thing_zh}的颜色是什么？", "{thing_zh}什么颜色？", "{thing_zh}是哪种颜色？",
            "告诉我{thing_zh}的颜色。", "你知道{thing_zh}是什么颜色吗？",
            "!{thing_zh}一般是什么颜色的？",
            "{thing_zh}是{colour_zh}的。",
        ),
    },
    "opposite": {
        "en": (
            "What is the opposite of {a_en}?", "What's the opposite of {a_en}?", "What is the opposite of '{a_en}'?", "Tell me the opposite of {a_en}.",
            "The opposite of {a_en}?", "Which word is the opposite of {a_en}?", "Give me the opposite of {a_en}.", "{a_en} is the opposite of what?",
            "opposite of {a_en}",
            "!Which word means the opposite of {a_en}?",
            "The opposite of {a_en} is {b_en}.",
        ),
        "zh": (
            "{a_zh}的反义词是什么？", "“{a_zh}”的反义词是什么？", "{a_zh}的反义词", "告诉我{a_zh}的反义词。", "{a_zh}的相反是什么？", "和{a_zh}相反的词是什么？",
            "哪个词是{a_zh}的反义词？", "{a_zh}的反义词是哪个？",
            "!请说出{a_zh}的反义词。",
            "{a_zh}的反义词是{b_zh}。",
        ),
    },
    "to_chinese": {
        "en": (
            "How do you say {en} in Chinese?", "How do you say '{en}' in Chinese?", "What is {en} in Chinese?", "Translate {en} into Chinese.",
            "Translate '{en}' to Chinese.", "What is the Chinese word for {en}?", "What is the Chinese for {en}?", "Say {en} in Chinese.",
            "{en} in Chinese?", "How to say {en} in Chinese?",
            "!Please give me the Chinese word for {en}.",
            "{en} in Chinese is {zh}.",
        ),
        "zh": (
            "{en}用中文怎么说？", "{en}的中文是什么？", "{en}是什么意思？", "把{en}翻译成中文。", "翻译成中文：{en}", "“{en}”中文怎么说？", "{en}中文怎么说？",
            "英文{en}是什么意思？",
            "!请把{en}译成中文。",
            "{en} 的中文是{zh}。",
        ),
    },
    "to_english": {
        "en": (
            "What is {zh} in English?", "What does {zh} mean?", "Translate {zh} into English.", "Translate '{zh}' to English.", "How do you say {zh} in English?",
            "What does '{zh}' mean in English?", "{zh} in English?", "What is the English word for {zh}?",
            "!Please give me the English word for {zh}.",
            "{zh} in English is {en}.",
        ),
        "zh": (
            "{zh}用英语怎么说？", "{zh}用英文怎么说？", "{zh}的英语是什么？", "{zh}的英文是什么？", "把{zh}翻译成英文。", "把{zh}翻译成英语。", "翻译成英文：{zh}",
            "“{zh}”英语怎么说？", "{zh}英文怎么说？",
            "!请把{zh}译成英文。",
            "{zh}的英文是 {en}。",
        ),
    },
    "young": {
        "en": (
            "What is the young of {animal_en} called?", "What is a baby of {animal_en} called?", "What do you call the young of {animal_en}?",
            "How is the young of {animal_en} called?", "What is the name of the young of {animal_en}?",
            "!How do you call the baby of {animal_en}?",
            "The young of {animal_en} is called {young_en}.",
        ),
        "zh": (
            "{animal_zh}的幼崽叫什么？", "{animal_zh}的宝宝叫什么？", "{animal_zh}的孩子叫什么？", "{animal_zh}小时候叫什么？",
            "!{animal_zh}的幼崽怎么称呼？",
            "{animal_zh}的幼崽叫{young_zh}。",
        ),
    },
    "legs": {
        "en": (
            "How many legs does {animal_en} have?", "How many legs has {animal_en}?", "What is the number of legs of {animal_en}?",
            "!{animal_en} has how many legs?",
            "{animal_en} has {legs_en} legs.",
        ),
        "zh": (
            "{animal_zh}有几条腿？", "{animal_zh}有多少条腿？", "{animal_zh}几条腿？",
            "!一只{animal_zh}有几条腿？",
            "{animal_zh}有{legs_zh}条腿。",
        ),
    },
    "symbol": {
        "en": (
            "What is the chemical symbol of {element_en}?", "What is the chemical symbol for {element_en}?", "What is the symbol of {element_en}?",
            "Which symbol does {element_en} have?", "Tell me the chemical symbol of {element_en}.", "What is the formula of {element_en}?",
            "!How do chemists write {element_en}?",
            "The symbol of {element_en} is {symbol}.",
        ),
        "zh": (
            "{element_zh}的化学符号是什么？", "{element_zh}的元素符号是什么？", "{element_zh}的符号是什么？", "告诉我{element_zh}的化学符号。", "{element_zh}的化学式是什么？",
            "!{element_zh}用什么化学符号表示？",
            "{element_zh}的化学符号是 {symbol}。",
        ),
    },
    "count": {
        "en": (
            "How many {unit_en} are there in {whole_en}?", "How many {unit_en} are in {whole_en}?", "How many {unit_en} does {whole_en} have?",
            "{whole_en} has how many {unit_en}?", "What is the number of {unit_en} in {whole_en}?", "Do you know how many {unit_en} {whole_en} has?",
            "!Tell me how many {unit_en} {whole_en} has.",
            "There are {n_en} {unit_en} in {whole_en}.",
        ),
        "zh": (
            "{whole_zh}有多少{unit_zh}？", "{whole_zh}有几{unit_zh}？", "{whole_zh}一共有多少{unit_zh}？", "{whole_zh}是多少{unit_zh}？", "你知道{whole_zh}有多少{unit_zh}吗？",
            "!请问{whole_zh}总共有多少{unit_zh}？",
            "{whole_zh}有{n_zh}{unit_zh}。",
        ),
    },
    "which": {
        "en": (
            "What is {what_en}?", "What's {what_en}?", "Which is {what_en}?", "Tell me {what_en}.", "Name {what_en}.", "Do you know {what_en}?",
            "What is {what_en} called?", "{what_en}?",
            "!I would like to know: what is {what_en}?",
            "{what_en} is {answer_en}.",
        ),
        "zh": (
            "{what_zh}是什么？", "{what_zh}是哪个？", "{what_zh}叫什么？", "{what_zh}是哪一个？", "告诉我{what_zh}。", "你知道{what_zh}是什么吗？", "哪个是{what_zh}？",
            "!我想了解{what_zh}是什么。",
            "{what_zh}是{answer_zh}。",
        ),
    },
    "who": {
        "en": (
            "Who {did_en}?", "Do you know who {did_en}?", "Tell me who {did_en}.", "Which person {did_en}?", "Can you tell me who {did_en}?",
            "What is the name of the person who {did_en}?", "Who was it that {did_en}?",
            "!I would like to know who {did_en}.",
            "It was {who_en}.",
        ),
        "zh": (
            "谁{did_zh}？", "是谁{did_zh}？", "你知道谁{did_zh}吗？", "告诉我谁{did_zh}。", "哪个人{did_zh}？", "{did_zh}的人是谁？",
            "!我想知道是谁{did_zh}。",
            "是{who_zh}。",
        ),
    },
    "term": {
        "en": (
            "What is {term_en}?", "What's {term_en}?", "What does {term_en} mean?", "Explain {term_en}.", "Tell me what {term_en} is.", "Define {term_en}.",
            "Do you know what {term_en} is?", "Can you explain {term_en}?", "What do you mean by {term_en}?",
            "!Please explain to me what {term_en} is.",
            "{term_en} is {is_en}.",
        ),
        "zh": (
            "什么是{term_zh}？", "{term_zh}是什么？", "{term_zh}是什么意思？", "解释一下{term_zh}。", "请解释{term_zh}。", "你知道什么是{term_zh}吗？", "告诉我什么是{term_zh}。",
            "!请给我解释一下什么是{term_zh}。",
            "{term_zh}是{is_zh}。",
        ),
    },
    "day_after": {
        "en": (
            "What day comes after {a_en}?", "Which day comes after {a_en}?", "What day is after {a_en}?", "Which day follows {a_en}?",
            "If today is {a_en}, what day is tomorrow?",
            "!Today is {a_en}. Which day is tomorrow?",
            "After {a_en} comes {b_en}.",
        ),
        "zh": (
            "{a_zh}之后是星期几？", "{a_zh}的后一天是星期几？", "{a_zh}后面是星期几？", "如果今天是{a_zh}，明天是星期几？", "今天{a_zh}，明天星期几？",
            "!{a_zh}过后是星期几？",
            "{a_zh}之后是{b_zh}。",
        ),
    },
    "day_before": {
        "en": (
            "What day comes before {b_en}?", "Which day comes before {b_en}?", "What day is before {b_en}?", "If today is {b_en}, what day was yesterday?",
            "!Today is {b_en}. Which day was yesterday?",
            "Before {b_en} comes {a_en}.",
        ),
        "zh": (
            "{b_zh}之前是星期几？", "{b_zh}的前一天是星期几？", "{b_zh}前面是星期几？", "如果今天是{b_zh}，昨天是星期几？",
            "!今天{b_zh}，昨天星期几？",
            "{b_zh}之前是{a_zh}。",
        ),
    },
    "month_after": {
        "en": (
            "What month comes after {a_en}?", "Which month comes after {a_en}?", "What month is after {a_en}?", "Which month follows {a_en}?",
            "!What is the next month after {a_en}?",
            "After {a_en} comes {b_en}.",
        ),
        "zh": (
            "{a_zh}之后是几月？", "{a_zh}的下个月是几月？", "{a_zh}后面是几月？", "{a_zh}过后是哪个月？",
            "!{a_zh}的后一个月是几月？",
            "{a_zh}之后是{b_zh}。",
        ),
    },
    "month_before": {
        "en": (
            "What month comes before {b_en}?", "Which month comes before {b_en}?", "What month is before {b_en}?",
            "!What is the month just before {b_en}?",
            "Before {b_en} comes {a_en}.",
        ),
        "zh": (
            "{b_zh}之前是几月？", "{b_zh}的上个月是几月？", "{b_zh}前面是几月？",
            "!{b_zh}的前一个月是几月？",
            "{b_zh}之前是{a_zh}。",
        ),
    },
    "plus": {
        "en": (
            "What is {a} + {b}?", "What is {a} plus {b}?", "{a} + {b} = ?", "{a}+{b}", "{a} + {b}", "How much is {a} plus {b}?", "Add {a} and {b}.",
            "What is the sum of {a} and {b}?", "Calculate {a} + {b}.", "{a}+{b}=?", "What's {a}+{b}?", "{a} plus {b}",
            "!Can you add {a} to {b} for me?",
            "{a} + {b} = {c}.",
        ),
        "zh": (
            "{a}加{b}等于多少？", "{a} + {b} 等于多少？", "{a}+{b}等于几？", "{a}+{b}=？", "{a}加{b}是多少？", "计算{a}+{b}。", "{a}与{b}的和是多少？", "{a}加{b}等于几？",
            "{a}+{b}",
            "!把{a}和{b}加起来是多少？",
            "{a} + {b} = {c}。",
        ),
    },
    "minus": {
        "en": (
            "What is {a} - {b}?", "What is {a} minus {b}?", "{a} - {b} = ?", "{a}-{b}", "How much is {a} minus {b}?", "Calculate {a} - {b}.", "Subtract {b} from {a}.",
            "!Can you take {b} away from {a}?",
            "{a} - {b} = {c}.",
        ),
        "zh": (
            "{a}减{b}等于多少？", "{a} - {b} 等于多少？", "{a}-{b}等于几？", "{a}-{b}=？", "{a}减{b}是多少？", "计算{a}-{b}。", "{a}减去{b}等于几？",
            "!从{a}里减掉{b}是多少？",
            "{a} - {b} = {c}。",
        ),
    },
    "times": {
        "en": (
            "What is {a} * {b}?", "What is {a} times {b}?", "{a} * {b} = ?", "{a}*{b}", "{a} x {b}", "How much is {a} times {b}?", "Multiply {a} by {b}.",
            "What is the product of {a} and {b}?", "Calculate {a} * {b}.", "{a} times {b}", "What is {a} x {b}?",
            "!Can you multiply {a} and {b} for me?",
            "{a} * {b} = {c}.",
        ),
        "zh": (
            "{a}乘{b}等于多少？", "{a}乘以{b}等于多少？", "{a} * {b} 等于多少？", "{a}*{b}等于几？", "{a}x{b}=？", "{a}乘以{b}是多少？", "计算{a}*{b}。", "{a}与{b}的积是多少？",
            "!把{a}和{b}相乘是多少？",
            "{a} * {b} = {c}。",
        ),
    },
}  # fmt: skip
