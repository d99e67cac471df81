"""What the starter reads from the conversation: what it was told, and what it must repeat."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

from jobs.starter import facts, small_talk
from jobs.starter.dialogue import Dialogue, Exchange, Lang, Turn, as_typed, held_out
from jobs.starter.unknown import fake_han, fake_name


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _items(text: str) -> tuple[str, ...]:
    """The parts of ``text`` between bars."""
    return tuple(part.strip() for part in text.split("|"))


NAMES = (
    *_words("""
Anna Ben Clara David Emma Felix Grace Henry Iris Jack Kate Leo Maria Nina Oscar Paul Rosa Sam Tom Uma Vera Will Zoe Alice Bob
Carol Daniel Eva Frank George Helen Ivan John Julia Karl Linda Mark Mary Nora Peter Robert Sarah Susan Thomas Lucy Mike Laura
Adam Alan Albert Alex Amy Andrew Angela Anthony Arthur Barbara Brian Catherine Charles Charlotte Chris Diana Dennis Donna Edward
Eleanor Elizabeth Emily Eric Ethan Fiona Gary Hannah Harry Isaac Isabella Jacob James Jane Jason Jennifer Jessica Joseph Karen Kevin
Liam Lily Louis Lucas Margaret Martin Matthew Megan Michael Nancy Nathan Nicole Noah Oliver Olivia Patrick Rachel Rebecca Richard
Ruth Samuel Scott Simon Sophie Stephen Steven Timothy Victor Victoria Vincent Walter William Yuki Ahmed Fatima Priya Carlos Sofia
Pierre Hans Olga Aisha Ali Amina Amir Ananya Anita Arjun Bruno Camille Chen Chloe Diego Dmitri Elena Emeka Enrique Fernando Freya
Giovanni Giulia Greta Gustav Hamid Haruto Hassan Hiroshi Ibrahim Igor Ines Ingrid Jamal Javier Jin Jorge Jose Juan Kaito Kamal Katya
Kenji Khalid Kofi Kwame Lars Layla Leila Lin Luca Luis Magnus Mai Marta Mateo Mei Mehmet Miguel Min Mohammed Nadia Natasha Ngozi
Nikolai Omar Pablo Paolo Pedro Rahul Raj Ravi Sakura Sanjay Sven Tariq Yusuf Zainab Zara Ying Yan
"""),
    *_items("Li Wei|Wang Fang|Zhang Min|Mary Ann|Liu Yang|Chen Jing|Anna Maria|Tom Smith|Jane Miller"),
)
NAMES_ZH = _words("""
小明 小红 小李 小王 小张 李雷 韩梅梅 王芳 张伟 刘洋 陈静 杨帆 赵敏 黄磊 周杰 吴婷 徐强 孙丽 马超 朱琳 胡军 郭靖 林涛 何欣 高飞 罗丹
梁宇 宋佳 安娜 汤姆 杰克 玛丽 露西 大卫 老王 阿强 小雨 晓东 志明 春花 建国 秀英 丽华 国强 海燕 小芳 小军 小丽 小华 小刚 小美 小龙 小林
小陈 小刘 小杨 小赵 小周 小吴 小徐 小孙 小胡 小朱 小高 小何 老李 老张 老陈 老刘 阿明 阿华 阿珍 阿丽 李娜 李明 李强 李静 李梅 王伟 王磊
王静 王强 王丽 王明 张敏 张丽 张强 张磊 张杰 刘伟 刘敏 刘芳 刘强 刘静 陈伟 陈明 陈丽 陈晨 杨洋 杨丽 杨阳 赵雷 赵丽 黄河 黄丽 周涛 周敏
吴磊 吴敏 徐静 徐丽 孙强 孙悦 马丽 马腾 朱军 胡月 郭涛 林丹 林静 何洁 高圆 罗兰 梁静 宋涛 唐糖 许晴 邓超 冯刚 曹阳 彭宇 曾敏 萧然 田雨
董洁 袁泉 潘岳 于洋 蒋欣 蔡明 余欢 杜鹃 叶青 程功 苏菲 魏来 吕布 丁一 任重 沈星 姚远 卢月 姜山 崔健 钟声 谭晶 陆川 范丽 汪洋 石磊 贾玲
夏雨 方圆 邹静 熊伟 白雪 孟飞 秦岚 江河 艾米 爱丽丝 鲍勃 彼得 保罗 约翰 迈克 凯特 苏珊 莎拉 琳达 海伦 艾玛 索菲亚 马克 汉斯 奥尔加 皮埃尔
卡洛斯 伊万 艾哈迈德 法蒂玛 阿里 娜塔莎 樱子 健太 美咲 安东尼 查理 亚当 尼娜 罗伯特 威廉 托马斯 丹尼尔 朱莉 克拉拉 维克多
""")

_LIKES = {
    "en": _items("""tea|coffee|cats|dogs|music|football|chess|rice|noodles|rain|summer|winter|books|trains|flowers|the sea|mountains|
cheese|apples|bananas|swimming|bread|fish|soup|chocolate|milk|honey|pizza|salad|cake|ice cream|snow|spring|autumn|the moon|the stars|birds|
horses|rabbits|fast cars|bicycles|old films|poems|stories|dancing|singing|running|cooking|reading|painting|fishing|gardening|tennis|
basketball|puzzles|board games|maps|languages|science|history|mathematics|computers|robots|trees|rivers|forests|long walks|green tea|
black coffee|red apples|jazz|photography|travelling|camping"""),
    "zh": _items("""茶|咖啡|猫|狗|音乐|足球|象棋|米饭|面条|下雨|夏天|冬天|书|火车|花|大海|山|苹果|香蕉|游泳|面包|鱼|汤|巧克力|牛奶|蜂蜜|比萨|
沙拉|蛋糕|冰淇淋|雪|春天|秋天|月亮|星星|鸟|马|兔子|跑车|自行车|老电影|诗歌|故事|跳舞|唱歌|跑步|做饭|读书|画画|钓鱼|园艺|网球|篮球|拼图|地图|
语言|科学|历史|数学|电脑|机器人|树|河流|森林|散步|绿茶|黑咖啡|红苹果|爵士乐|摄影|旅行|露营|饺子|豆腐|围棋"""),
}  # fmt: skip
_JOBS = {
    "en": _items("""a teacher|a farmer|a doctor|a nurse|a lawyer|a student|a driver|a cook|a painter|a pilot|a baker|a writer|an engineer|
an actor|an artist|a singer|a dancer|a musician|a carpenter|a plumber|an electrician|a waiter|a shop assistant|a police officer|
a firefighter|a soldier|a sailor|a gardener|a librarian|a journalist|a photographer|a scientist|a programmer|an accountant|a dentist|
a vet|a butcher|a tailor|a hairdresser|a mechanic|a postman|a judge|a manager|a secretary|a translator|an architect|a designer|a chemist|
a fisherman|a coach|a guide|a bus driver|a music teacher|a taxi driver"""),
    "zh": _words("""老师 农民 医生 护士 律师 学生 司机 厨师 画家 飞行员 面包师 作家 工程师 演员 艺术家 歌手 舞蹈家 音乐家 木匠 水管工 电工
服务员 店员 警察 消防员 军人 水手 园丁 图书管理员 记者 摄影师 科学家 程序员 会计 牙医 兽医 裁缝 理发师 修理工 邮递员 法官 经理 秘书 翻译 建筑师
设计师 化学家 渔民 教练 导游 公交司机 音乐老师 出租车司机"""),
}  # fmt: skip
_COLOURS = {
    "en": _items("red|blue|green|yellow|black|white|purple|orange|pink|brown|grey|silver|gold|dark blue|light green|turquoise|violet"),
    "zh": _words("红色 蓝色 绿色 黄色 黑色 白色 紫色 橙色 粉色 棕色 灰色 银色 金色 深蓝色 浅绿色 天蓝色"),
}  # fmt: skip
_BOOK = {
    "en": (
        _words("""Silent Golden Lost Hidden Last First Broken Secret Little Great Dark Bright Frozen Burning Distant Quiet Wild Empty
Ancient Blue Red White Black Green Silver Iron Glass Paper Summer Winter Midnight Morning"""),
        _words("""River Mountain Garden City House Forest Ocean Island Star Moon Road Train Bridge Tower Door Key Letter Song Dream
Child King Queen Dragon Bird Wolf Horse Rose Tree Stone Light Shadow Window"""),
    ),
    "zh": (
        _words("寂静的 金色的 失落的 隐藏的 最后的 破碎的 秘密的 小小的 黑暗的 明亮的 冰冻的 遥远的 古老的 蓝色的 红色的 白色的 夏天的 冬天的 午夜的"),
        _words("河 山 花园 城市 房子 森林 海洋 岛 星星 月亮 路 火车 桥 塔 门 钥匙 信 歌 梦 孩子 国王 龙 鸟 狼 马 玫瑰 树 石头 光 影子 窗"),
    ),
}  # fmt: skip
_KINDS = {
    "pet": {
        "en": _words("dog cat pet rabbit horse parrot hamster turtle goldfish bird pony mouse"),
        "zh": _words("狗 猫 宠物 兔子 马 鹦鹉 仓鼠 乌龟 金鱼 鸟 小狗 小猫"),
    },
    "friend": {
        "en": _items("friend|best friend|brother|sister|mother|father|teacher|boss|neighbor|cousin|son|daughter|uncle|aunt|doctor|wife|husband"),
        "zh": _words("朋友 好朋友 哥哥 姐姐 弟弟 妹妹 妈妈 爸爸 老师 老板 邻居 儿子 女儿 叔叔 阿姨 同学 同事 妻子 丈夫"),
    },
    "code": {
        "en": _items("code word|password|secret word|magic word|code|keyword|safe word"),
        "zh": _words("暗号 密码 口令 暗语 密语 关键词"),
    },
}  # fmt: skip
"""Slots that come in kinds: the ``{k}`` of their wordings."""


@dataclass(frozen=True)
class Slot:
    """A thing one can be told. ``{v}`` is its value, ``{k}`` its kind.

    tell, ask: wordings to train on; tell_kept, ask_kept: wordings kept for the evaluation.
    """

    tell: tuple[str, ...]
    tell_kept: tuple[str, ...]
    known: str
    ask: tuple[str, ...]
    ask_kept: tuple[str, ...]
    answer: str


_REMEMBER = {"en": "Thank you, I will remember that.", "zh": "好的，我会记住。"}
NOT_TOLD: dict[str, str] = {"en": "You have not told me that yet.", "zh": "你还没有告诉我。"}
_TELL_LEADS = {
    "en": ("By the way, ", "Just so you know, ", "Remember this: ", "Please remember: ", "Let me tell you something: ", "Note that ",
           "For your information, ", "Do not forget: ", "Hello. ", "Hi. ", "One thing about me: ", "You should know that "),
    "zh": ("顺便说一下，", "告诉你，", "记住：", "请记住：", "跟你说，", "别忘了，", "你好，", "其实", "我告诉你，", "要知道，"),
}  # fmt: skip
_ASK_LEADS = {
    "en": ("Do you know {c}?", "Do you remember {c}?", "Can you tell me {c}?", "Could you tell me {c}?", "Tell me {c}.", "Please tell me {c}.",
           "Do you still know {c}?", "Do you still remember {c}?", "Can you remember {c}?", "Say {c}.", "I want to know {c}.", "Remind me {c}.",
           "I forgot {c}.", "Did I tell you {c}?"),
    "zh": ("你知道{c}吗？", "你记得{c}吗？", "你还记得{c}吗？", "你能告诉我{c}吗？", "可以告诉我{c}吗？", "告诉我{c}。", "请告诉我{c}。", "说说{c}。",
           "我想知道{c}。", "我忘了{c}。", "提醒我一下{c}。", "请说出{c}。", "你还知道{c}吗？"),
}  # fmt: skip


def _slot(lang: Lang, tell: str, ask: str, clauses: str, answer: str, known: str = "") -> Slot:
    """A slot from bar-separated wordings. ``!`` marks those kept; ``clauses`` are indirect questions ("what my name is")."""
    told, asked = _items(tell), list(_items(ask))
    led = [w for w in told if not w.startswith("!")]
    for lead in _TELL_LEADS[lang]:
        for wording in [w for w in told if w.startswith(("I ", "I'm ", "My ", "我"))][:4]:
            bare = wording if not wording.startswith("My ") or lead.endswith(". ") else "m" + wording[1:]
            led.append(lead + bare)
    asked += [lead.format(c=clause) for clause in _items(clauses) for lead in _ASK_LEADS[lang]]
    return Slot(
        tuple(dict.fromkeys(led)),
        tuple(w[1:] for w in told if w.startswith("!")),
        known or _REMEMBER[lang],
        tuple(dict.fromkeys(w for w in asked if not w.startswith("!"))),
        tuple(w[1:] for w in asked if w.startswith("!")),
        answer,
    )


MEMORY: dict[str, dict[str, Slot]] = {
    "name": {
        "en": _slot("en",
            """My name is {v}.|I am {v}.|I'm {v}.|My name's {v}.|Call me {v}.|Please call me {v}.|Hello, my name is {v}.|Hi, I'm {v}.|
You can call me {v}.|This is {v}.|Hello, I am {v}.|People call me {v}.|Remember my name: {v}.|Hi, my name is {v}.|Hey, I am {v}.|
Hi, this is {v}.|My friends call me {v}.|Everybody calls me {v}.|I am called {v}.|My first name is {v}.|The name is {v}.|{v} is my name.|
Good morning, I am {v}.|Good evening, my name is {v}.|You are talking to {v}.|Nice to meet you, I am {v}.|My name: {v}.|
!Let me introduce myself: I am {v}.|!They call me {v}.""",
            """What is my name?|What's my name?|Who am I?|Tell me my name.|Can you tell me my name?|What am I called?|Say my name.|
What did I say my name was?|Remember my name?|Do you know my name?|Do you remember my name?|My name?|What was my name?|
Which name did I tell you?|What did I tell you my name was?|What name did I give you?|How am I called?|And what is my name?|
So what is my name?|What do people call me?|Do you still know my name?|Please say my name.|What is my name again?|
!Could you say my name?|!What was my name again?""",
            "what my name is|what I am called|who I am", "Your name is {v}.", "Nice to meet you, {v}."),
        "zh": _slot("zh",
            """我叫{v}。|我的名字是{v}。|我是{v}。|叫我{v}。|你可以叫我{v}。|你好，我叫{v}。|你好，我是{v}。|请叫我{v}。|大家叫我{v}。|
记住我的名字：{v}。|我名叫{v}。|我的名字叫{v}。|大家都叫我{v}。|朋友们叫我{v}。|嗨，我是{v}。|嗨，我叫{v}。|您好，我叫{v}。|您好，我是{v}。|
早上好，我是{v}。|晚上好，我叫{v}。|我的名字：{v}。|别人叫我{v}。|{v}是我的名字。|认识一下，我叫{v}。|就叫我{v}吧。|你在和{v}说话。|
!自我介绍一下，我叫{v}。|!你叫我{v}就行。""",
            """我叫什么？|我叫什么名字？|我的名字是什么？|你知道我叫什么吗？|你记得我的名字吗？|我是谁？|告诉我我的名字。|你还记得我叫什么吗？|
说出我的名字。|我刚才说我叫什么？|我的名字呢？|我的名字叫什么？|我告诉过你我叫什么？|你应该叫我什么？|你怎么称呼我？|那我叫什么？|
还记得我的名字吗？|还记得我叫什么吗？|说说我叫什么。|你知道我的名字吗？|知道我是谁吗？|请说我的名字。|我刚才说我的名字是什么？|
!你知道我是哪位吗？|!我的名字你还记得吗？""",
            "我叫什么名字|我的名字|我是谁", "你叫{v}。", "很高兴认识你，{v}。"),
    },
    "place": {
        "en": _slot("en",
            """I live in {v}.|I am from {v}.|I come from {v}.|My home is in {v}.|I'm from {v}.|I am living in {v}.|My house is in {v}.|
My home is {v}.|I live in {v} now.|I am at home in {v}.|My family lives in {v} and so do I.|Hello from {v}.|I moved to {v}.|
I have lived in {v} for years.|The place where I live is {v}.|The place I come from is {v}.|I am writing from {v}.|I stay in {v}.|
My home town is {v}.|My flat is in {v}.|{v} is my home.|{v} is where I live.|!Home for me is {v}.|!I have my home in {v}.""",
            """Where do I live?|Where am I from?|Which place am I from?|Where do I come from?|Where is my home?|What is my home?|
Which place do I live in?|Where is my house?|Where am I living?|In which place do I live?|Which place do I come from?|And where do I live?|
Where did I say I live?|Where did I say I am from?|So where am I from?|What place am I from?|Where is it that I live?|Remember where I live?|
Where do I live again?|Tell me the place where I live.|!What is the place I live in?|!Where am I at home?""",
            "where I live|where I am from|where I come from", "You are from {v}."),
        "zh": _slot("zh",
            """我住在{v}。|我来自{v}。|我是{v}人。|我家在{v}。|我住{v}。|我从{v}来。|我的家在{v}。|我现在住在{v}。|我一直住在{v}。|我在{v}生活。|
我在{v}住了很多年。|我是从{v}来的。|我的老家在{v}。|我老家是{v}。|我搬到了{v}。|我们家在{v}。|我和家人住在{v}。|我是来自{v}的。|我目前在{v}居住。|
{v}是我的家乡。|我的家乡是{v}。|我的房子在{v}。|!我在{v}安了家。|!我家住{v}。""",
            """我住在哪里？|我来自哪里？|我住哪里？|我是哪里人？|我家在哪里？|我从哪里来？|我的家在哪里？|我住在什么地方？|我来自什么地方？|
我是从哪里来的？|我的家乡是哪里？|我在哪里生活？|我刚才说我住在哪里？|我刚才说我来自哪里？|那我住在哪里？|我现在住在哪里？|我住哪儿？|我是哪儿的人？|
我家在哪儿？|还记得我住在哪里吗？|我的老家在哪里？|!我是什么地方的人？|!我家住在哪里？""",
            "我住在哪里|我来自哪里|我是哪里人", "你来自{v}。"),
    },
    "like": {
        "en": _slot("en",
            """I like {v}.|I love {v}.|I really like {v}.|My favorite thing is {v}.|What I like most is {v}.|I like {v} very much.|
I like {v} a lot.|I am fond of {v}.|I really love {v}.|I enjoy {v}.|I adore {v}.|I am a fan of {v}.|Nothing is better than {v} for me.|
I like {v} best.|I prefer {v}.|{v} makes me happy.|I am crazy about {v}.|I have always liked {v}.|I am happy with {v}.|
The thing I like is {v}.|The thing I love is {v}.|I am into {v}.|!I am very fond of {v}.|!The best thing for me is {v}.""",
            """What do I like?|Tell me what I like.|What is my favorite thing?|What do I love?|What do I like most?|What do I really like?|
What do I enjoy?|Which thing do I like?|What am I fond of?|What makes me happy?|What did I say I like?|What did I say I love?|
And what do I like?|So what do I like?|What do I like best?|What is it that I like?|Remember what I like?|What was it that I like?|
What is the thing I like?|What do I prefer?|!Which thing do I love?|!What is it I like so much?""",
            "what I like|what I love|what my favorite thing is", "You like {v}."),
        "zh": _slot("zh",
            """我喜欢{v}。|我最喜欢{v}。|我很喜欢{v}。|我爱{v}。|我非常喜欢{v}。|我特别喜欢{v}。|我喜欢的是{v}。|我最喜欢的是{v}。|我最爱{v}。|
我真的很喜欢{v}。|我一直喜欢{v}。|我从小喜欢{v}。|我爱的是{v}。|我对{v}很感兴趣。|我是{v}的爱好者。|{v}让我开心。|我就喜欢{v}。|我热爱{v}。|
我挺喜欢{v}的。|我超喜欢{v}。|我的最爱是{v}。|我比较喜欢{v}。|!我十分喜欢{v}。|!最让我开心的是{v}。""",
            """我喜欢什么？|我最喜欢什么？|我爱什么？|我的最爱是什么？|我喜欢的是什么？|我最喜欢的是什么？|我对什么感兴趣？|什么让我开心？|
我刚才说我喜欢什么？|我说过我喜欢什么？|那我喜欢什么？|我很喜欢什么？|还记得我喜欢什么吗？|我特别喜欢什么？|我最爱什么？|说说我喜欢什么。|
我非常喜欢什么？|我热爱什么？|我的爱好是什么？|我到底喜欢什么？|!我十分喜欢什么？|!我喜欢的东西是什么？""",
            "我喜欢什么|我最喜欢什么|我的最爱是什么", "你喜欢{v}。"),
    },
    "number": {
        "en": _slot("en",
            """My lucky number is {v}.|Remember the number {v}.|My favorite number is {v}.|The number is {v}.|My number is {v}.|
Please remember the number {v}.|Keep the number {v} in mind.|Here is a number: {v}.|I chose the number {v}.|I picked the number {v}.|
I am thinking of the number {v}.|Remember this number: {v}.|Do not forget the number {v}.|Number {v}, please remember it.|
The number to remember is {v}.|Let the number be {v}.|Store the number {v}.|Save the number {v}.|Note the number {v}.|I have the number {v}.|
I got the number {v}.|{v} is my number.|{v} is the number.|!Hold on to the number {v}.|!The number I want you to know is {v}.""",
            """What is my number?|Which number did I tell you?|What was the number?|What is the number?|Which number is it?|
What number did I say?|Which number did I say?|What number did I tell you?|What is my lucky number?|What number did I choose?|
Which number should you remember?|Tell me the number.|Say the number.|The number?|And the number?|So what is the number?|What was my number?|
Do you remember the number?|Do you know the number?|What number was it?|Which number did I give you?|Repeat the number I told you.|
Give me the number.|!What number did I give you?|!Which number was it again?""",
            "what the number is|what my number is|which number I told you", "The number is {v}."),
        "zh": _slot("zh",
            """我的幸运数字是{v}。|记住数字{v}。|我最喜欢的数字是{v}。|数字是{v}。|我的数字是{v}。|请记住数字{v}。|记住这个数字：{v}。|
请记住这个数：{v}。|这个数字是{v}。|我选的数字是{v}。|我选了数字{v}。|我想的数字是{v}。|别忘了数字{v}。|要记住的数字是{v}。|给你一个数字：{v}。|
保存数字{v}。|我抽到的数字是{v}。|我有一个数字：{v}。|我的号码是{v}。|号码是{v}。|{v}是我的数字。|{v}是我的幸运数字。|
!我想让你记住数字{v}。|!把数字{v}记下来。""",
            """我的数字是什么？|我告诉你的数字是多少？|你记得那个数字吗？|数字是多少？|数字是什么？|我的数字是多少？|我的幸运数字是多少？|
我的幸运数字是什么？|那个数字是多少？|那个数字是什么？|我说的数字是多少？|我刚才说的数字是什么？|我选的数字是什么？|告诉我那个数字。|
说出那个数字。|你要记住的数字是什么？|还记得数字吗？|我让你记住的数字是多少？|你知道那个数字吗？|那数字是多少？|我的号码是多少？|
!我给你的数字是什么？|!那个数是几？""",
            "那个数字|我的数字是多少|我说的数字", "数字是{v}。"),
    },
    "job": {
        "en": _slot("en",
            """I am {v}.|I work as {v}.|I'm {v}.|I am {v} by profession.|My job is that of {v}.|I earn my money as {v}.|I became {v}.|
I work in my town as {v}.|I have a job as {v}.|I have worked as {v} for years.|For a living I work as {v}.|At work I am {v}.|
!I make my living as {v}.|!By trade I am {v}.""",
            """What is my job?|What do I work as?|What do I do for a living?|What is my profession?|What work do I do?|Which job do I have?|
What is my work?|What do I do at work?|What's my job?|And what is my job?|What job do I have?|What was my job?|!Which profession do I have?|
!What kind of work do I do?""",
            "what my job is|what I work as|what I do for a living", "You are {v}."),
        "zh": _slot("zh",
            """我是一名{v}。|我的工作是{v}。|我的职业是{v}。|我是一位{v}。|我做{v}的工作。|我的工作是当{v}。|我当{v}很多年了。|我现在是一名{v}。|
我是个{v}。|我从事的职业是{v}。|我靠当{v}生活。|我在城里当{v}。|!我以{v}为职业。|!我上班的工作是{v}。""",
            """我的工作是什么？|我的职业是什么？|我做什么工作？|我是做什么的？|我是干什么的？|我从事什么职业？|我的工作呢？|我在做什么工作？|
我当什么？|我有什么工作？|我干什么工作？|那我的工作是什么？|!我是从事什么工作的？|!我靠什么工作生活？""",
            "我的工作|我的职业是什么|我是做什么的", "你是一名{v}。"),
    },
    "age": {
        "en": _slot("en",
            """I am {v} years old.|I'm {v} years old.|My age is {v}.|I am {v} now, in years.|I turned {v} this year.|I turned {v} last month.|
I became {v} years old today.|I am aged {v}.|I am exactly {v} years old.|I have reached the age of {v}.|I am {v} years of age.|
My age: {v}.|!I just turned {v}.|!My age is {v} years.""",
            """How old am I?|What is my age?|What's my age?|My age?|How many years old am I?|And how old am I?|So how old am I?|
What did I say my age was?|Tell me my age.|Do you know my age?|Do you remember my age?|Say my age.|!What age am I?|!How many years have I lived?""",
            "how old I am|what my age is|my age", "You are {v} years old."),
        "zh": _slot("zh",
            """我{v}岁。|我今年{v}岁。|我{v}岁了。|我的年龄是{v}岁。|我已经{v}岁了。|我现在{v}岁。|我今年{v}岁了。|我刚满{v}岁。|我满{v}岁了。|
我的年纪是{v}岁。|我正好{v}岁。|我快要过完{v}岁了。|!我上个月满{v}岁。|!我的年龄：{v}岁。""",
            """我多大？|我几岁？|我多大了？|我几岁了？|我的年龄是多少？|我今年多大？|我今年几岁？|我的年龄？|我现在多大？|我是多少岁？|我有多大？|
那我几岁？|!我的岁数是多少？|!我今年多少岁？""",
            "我多大|我的年龄|我几岁", "你{v}岁。"),
    },
    "pet": {
        "en": _slot("en",
            """My {k} is called {v}.|My {k}'s name is {v}.|I have a {k} called {v}.|I have a {k} named {v}.|The name of my {k} is {v}.|
I call my {k} {v}.|My {k} is named {v}.|We have a {k} called {v}.|My {k} has the name {v}.|I own a {k} called {v}.|I got a {k} named {v}.|
I named my {k} {v}.|!I gave my {k} the name {v}.|!There is a {k} called {v} in my home.""",
            """What is my {k} called?|What is my {k}'s name?|What is the name of my {k}?|What do I call my {k}?|What's my {k} called?|
How is my {k} called?|Which name does my {k} have?|Tell me my {k}'s name.|And my {k}, what is it called?|What was the name of my {k}?|
Do you know my {k}'s name?|Say the name of my {k}.|!Which name did I give my {k}?|!What name does my {k} have?""",
            "what my {k} is called|the name of my {k}|my {k}'s name", "Your {k} is called {v}."),
        "zh": _slot("zh",
            """我的{k}叫{v}。|我的{k}名叫{v}。|我的{k}的名字是{v}。|我家的{k}名叫{v}。|我家的{k}叫{v}。|我家{k}叫{v}。|我养的{k}叫{v}。|
我给{k}取名叫{v}。|我的{k}的名字叫{v}。|我养了{k}，名叫{v}。|我叫我的{k}{v}。|我家{k}的名字是{v}。|!我为{k}起的名字是{v}。|!我们家的{k}叫做{v}。""",
            """我的{k}叫什么？|我的{k}叫什么名字？|我的{k}的名字是什么？|我家的{k}叫什么？|我的{k}名叫什么？|我家{k}叫什么名字？|我养的{k}叫什么？|
我给{k}取了什么名字？|那我的{k}叫什么？|我的{k}的名字呢？|说出我的{k}的名字。|我的{k}是什么名字？|!我给{k}起的名字是什么？|!我的{k}叫做什么？""",
            "我的{k}叫什么|我的{k}的名字|我的{k}叫什么名字", "你的{k}叫{v}。"),
    },
    "friend": {
        "en": _slot("en",
            """My {k} is called {v}.|My {k}'s name is {v}.|My {k} is {v}.|The name of my {k} is {v}.|I have a {k} called {v}.|
I have a {k} named {v}.|My {k} is named {v}.|My {k} has the name {v}.|{v} is my {k}.|{v} is the name of my {k}.|I call my {k} {v}.|
I met my {k} {v} today.|!I was at home with my {k} {v}.|!You know my {k}, the name is {v}.""",
            """What is my {k} called?|What is my {k}'s name?|What is the name of my {k}?|Who is my {k}?|What's my {k}'s name?|
How is my {k} called?|Which name does my {k} have?|Tell me my {k}'s name.|And my {k}, who is that?|What was the name of my {k}?|
Do you know my {k}'s name?|Say the name of my {k}.|!What was my {k}'s name?|!What name does my {k} have?""",
            "what my {k} is called|who my {k} is|the name of my {k}", "Your {k} is called {v}."),
        "zh": _slot("zh",
            """我的{k}叫{v}。|我的{k}是{v}。|我的{k}名叫{v}。|我的{k}的名字是{v}。|我有一个{k}叫{v}。|我{k}叫{v}。|我{k}的名字是{v}。|{v}是我的{k}。|
{v}是我{k}的名字。|我的{k}的名字叫{v}。|我今天见到了我的{k}{v}。|我{k}名叫{v}。|!我和我的{k}{v}在家。|!我{k}的名字叫做{v}。""",
            """我的{k}叫什么？|我的{k}叫什么名字？|我的{k}是谁？|我的{k}的名字是什么？|我{k}叫什么？|我{k}叫什么名字？|我{k}的名字是什么？|谁是我的{k}？|
那我的{k}叫什么？|我的{k}的名字呢？|说出我的{k}的名字。|我的{k}名叫什么？|!我的{k}叫做什么？|!我{k}是哪位？""",
            "我的{k}叫什么|我的{k}的名字|我的{k}是谁", "你的{k}叫{v}。"),
    },
    "colour": {
        "en": _slot("en",
            """My favorite color is {v}.|My favourite colour is {v}.|The color I like best is {v}.|The color I like most is {v}.|
I like the color {v} best.|I like the colour {v} most.|I love the color {v}.|My best color is {v}.|My color is {v}.|
Of all colors I like {v} best.|I prefer the color {v}.|{v} is my favorite color.|!The color {v} is my favorite.|!The colour I love is {v}.""",
            """What is my favorite color?|What is my favourite colour?|Which color do I like best?|Which color do I like most?|
What color do I like?|What's my favorite color?|Which colour do I like?|What is my color?|And my favorite color?|Which color is my favorite?|
Tell me my favorite color.|What color do I love?|!Which colour is my favourite?|!What color did I say I like?""",
            "what my favorite color is|which color I like|my favorite color", "Your favorite color is {v}."),
        "zh": _slot("zh",
            """我最喜欢的颜色是{v}。|我喜欢的颜色是{v}。|我最爱的颜色是{v}。|颜色里我最喜欢{v}。|在颜色中我最喜欢{v}。|我的颜色是{v}。|
所有颜色里我最爱{v}。|{v}是我最喜欢的颜色。|我喜欢{v}这种颜色。|我最喜欢{v}这个颜色。|说到颜色，我喜欢{v}。|我偏爱的颜色是{v}。|
!我觉得{v}是最好看的颜色。|!我特别喜欢的颜色是{v}。""",
            """我最喜欢什么颜色？|我喜欢什么颜色？|我最喜欢的颜色是什么？|我喜欢的颜色是什么？|我最爱的颜色是什么？|我喜欢哪种颜色？|我最喜欢哪种颜色？|
我爱什么颜色？|我的颜色是什么？|我偏爱什么颜色？|哪种颜色是我最喜欢的？|那我喜欢什么颜色？|!我最爱哪个颜色？|!我特别喜欢什么颜色？""",
            "我最喜欢什么颜色|我喜欢的颜色|我最喜欢的颜色是什么", "你最喜欢的颜色是{v}。"),
    },
    "born": {
        "en": _slot("en",
            """I was born in {v}.|My place of birth is {v}.|My birthplace is {v}.|I was born and raised in {v}.|The city of my birth is {v}.|
The place where I was born is {v}.|{v} is my birthplace.|{v} is where I was born.|I came into the world in {v}.|
My mother gave birth to me in {v}.|I was born at home in {v}.|!The town where I was born is {v}.|!My birth was in {v}.""",
            """Where was I born?|In which city was I born?|What is my place of birth?|What is my birthplace?|Which place was I born in?|
Where did I say I was born?|And where was I born?|Where was my birth?|In which place was I born?|Tell me my birthplace.|
What city was I born in?|Do you know my place of birth?|!Which city was I born in?|!What was my birthplace?""",
            "where I was born|my place of birth|in which city I was born", "You were born in {v}."),
        "zh": _slot("zh",
            """我出生在{v}。|我的出生地是{v}。|我在{v}出生。|我生在{v}。|我是在{v}出生的。|我出生的地方是{v}。|我出生的城市是{v}。|我生于{v}。|
{v}是我的出生地。|我的出生城市是{v}。|我是在{v}生的。|我妈妈在{v}生了我。|!我出生于{v}。|!我的出生地点是{v}。""",
            """我出生在哪里？|我的出生地是哪里？|我在哪里出生？|我生在哪里？|我是在哪里出生的？|我出生的地方是哪里？|我出生在哪个城市？|我生于哪里？|
我的出生城市是哪里？|我在哪个城市出生？|那我出生在哪里？|我出生在什么地方？|!我出生于哪里？|!我的出生地点是哪里？""",
            "我出生在哪里|我的出生地|我在哪里出生", "你出生在{v}。"),
    },
    "month": {
        "en": _slot("en",
            """My birthday is in {v}.|I have my birthday in {v}.|I celebrate my birthday in {v}.|My birthday month is {v}.|
The month of my birthday is {v}.|I have a birthday in {v}.|We celebrate my birthday in {v}.|My birthday comes in {v}.|
Every {v} I have my birthday.|My birthday falls in {v}.|{v} is the month of my birthday.|In {v} I have my birthday.|
!My birthday party is always in {v}.|!My birthday is some day in {v}.""",
            """When is my birthday?|In which month is my birthday?|What month is my birthday in?|Which month is my birthday?|
What is my birthday month?|When do I have my birthday?|When do I celebrate my birthday?|And when is my birthday?|
In which month do I have my birthday?|Tell me the month of my birthday.|My birthday is in which month?|When was my birthday?|
!Which month is my birthday in?|!In what month is my birthday?""",
            "when my birthday is|in which month my birthday is|my birthday month", "Your birthday is in {v}."),
        "zh": _slot("zh",
            """我的生日在{v}。|我{v}过生日。|我的生日是{v}。|我在{v}过生日。|我生日在{v}。|我的生日月份是{v}。|我每年{v}过生日。|我是{v}的生日。|
我的生日是在{v}。|我过生日的月份是{v}。|{v}是我的生日月份。|我家{v}给我过生日。|!我的生日就在{v}。|!我每年都在{v}庆祝生日。""",
            """我的生日在几月？|我的生日是几月？|我几月过生日？|我的生日是什么时候？|我什么时候过生日？|我的生日月份是什么？|我生日在几月？|
我在几月过生日？|那我的生日在几月？|我的生日是哪个月？|我哪个月过生日？|我的生日在哪个月？|!我是几月的生日？|!我的生日在什么时候？""",
            "我的生日在几月|我的生日是什么时候|我的生日月份", "你的生日在{v}。"),
    },
    "code": {
        "en": _slot("en",
            """The {k} is {v}.|My {k} is {v}.|Remember the {k} {v}.|Remember the {k}: {v}.|The {k} for today is {v}.|The {k} will be {v}.|
Keep this {k}: {v}.|Do not forget the {k} {v}.|Our {k} is {v}.|Here is the {k}: {v}.|{v} is the {k}.|Let the {k} be {v}.|The {k}: {v}.|
!The new {k} is {v}.|!Please keep the {k} {v} in mind.""",
            """What is the {k}?|What was the {k}?|What's the {k}?|Tell me the {k}.|Do you know the {k}?|Do you remember the {k}?|
Which {k} did I tell you?|Say the {k}.|And the {k}?|What {k} did I give you?|The {k}?|Give me the {k}.|Please say the {k}.|
!What {k} did I tell you?|!Which {k} was it?""",
            "what the {k} is|the {k}|which {k} I told you", "The {k} is {v}."),
        "zh": _slot("zh",
            """{k}是{v}。|我的{k}是{v}。|记住{k}：{v}。|请记住{k}是{v}。|今天的{k}是{v}。|我们的{k}是{v}。|别忘了{k}是{v}。|这是{k}：{v}。|{v}是{k}。|
{k}：{v}。|我告诉你，{k}是{v}。|我设的{k}是{v}。|!新的{k}是{v}。|!请保存{k}：{v}。""",
            """{k}是什么？|我设的{k}是什么？|告诉我{k}。|你知道{k}吗？|你记得{k}吗？|说出{k}。|我说的{k}是什么？|我告诉你的{k}是什么？|今天的{k}是什么？|
那{k}是什么？|{k}是多少？|请说{k}。|!我给你的{k}是什么？|!刚才的{k}是什么？""",
            "{k}|{k}是什么|我说的{k}", "{k}是{v}。"),
    },
    "book": {
        "en": _slot("en",
            """My favorite book is {v}.|My favourite book is {v}.|The book I like best is {v}.|I like the book {v} best.|
I love the book {v}.|The best book for me is {v}.|My favorite book is called {v}.|{v} is my favorite book.|I am reading the book {v}.|
My book is called {v}.|I often read the book {v}.|The title of my book is {v}.|!The book I love most is {v}.|!I like the book called {v}.""",
            """What is my favorite book?|What is my favourite book?|Which book do I like best?|Which book do I like?|
What's my favorite book?|What is my book called?|Which book do I love?|And my favorite book?|What book do I like?|
Tell me the title of my book.|What is the title of my book?|Which book is my favorite?|!What book do I love?|!What was my favorite book?""",
            "what my favorite book is|which book I like|the title of my book", "Your favorite book is {v}."),
        "zh": _slot("zh",
            """我最喜欢的书是《{v}》。|我喜欢的书是《{v}》。|我最爱的书是《{v}》。|我喜欢《{v}》这本书。|我最喜欢《{v}》这本书。|《{v}》是我最喜欢的书。|
我的书叫《{v}》。|我喜欢一本叫《{v}》的书。|我最爱读《{v}》。|我喜欢读《{v}》。|我常看的书是《{v}》。|对我来说最好的书是《{v}》。|
!我很爱《{v}》这本书。|!我最喜欢读的书是《{v}》。""",
            """我最喜欢的书是什么？|我喜欢什么书？|我最喜欢什么书？|我喜欢哪本书？|我最喜欢哪本书？|我最爱的书是哪本？|我的书叫什么？|
我最喜欢的书叫什么？|我喜欢的书是什么？|我爱读什么书？|我喜欢读什么书？|那我喜欢什么书？|!我最爱读哪本书？|!我喜欢的书叫什么名字？""",
            "我最喜欢的书|我喜欢什么书|我最喜欢哪本书", "你最喜欢的书是《{v}》。"),
    },
}  # fmt: skip
"""slot -> language -> how it is told and asked for."""

_WEIGHTS = {
    "name": 8, "place": 3, "like": 3, "number": 3, "job": 2, "age": 2, "pet": 2, "friend": 2, "colour": 2, "born": 2, "month": 1,
    "code": 3, "book": 2,
}  # fmt: skip
SLOTS, _SLOT_WEIGHTS = tuple(_WEIGHTS), tuple(_WEIGHTS.values())
_NEAR = {"place": ("born",), "born": ("place",), "name": ("job",), "job": ("name",), "like": ("colour", "book")}
"""Slots that answer nearly the same question: not told before one asks in vain for the other."""


def person(rng: random.Random, lang: Lang, invented: float = 0.4) -> str:
    """A first name, an invented one with probability ``invented``."""
    if rng.random() < invented:
        return fake_name(rng) if lang == "en" else fake_han(rng)
    return rng.choice(NAMES if lang == "en" else NAMES_ZH)


def _place(rng: random.Random, lang: Lang) -> str:
    if rng.random() < 0.4:
        return fake_name(rng) if lang == "en" else fake_han(rng)
    return rng.choice(_places(lang))


@cache
def _places(lang: Lang) -> tuple[str, ...]:
    rows = facts.table("countries")
    return tuple(row[f"{column}_{lang}"] for row in rows for column in ("country", "capital"))


@cache
def _nouns(lang: Lang) -> tuple[str, ...]:
    return tuple(row[lang] for row in facts.table("words"))


@cache
def _months(lang: Lang) -> tuple[str, ...]:
    return tuple(month[0 if lang == "en" else 1] for month in facts.MONTHS)


def group(rng: random.Random) -> str:
    """Two to five letters and digits, such as ``kx7``."""
    letters = rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 4))
    if rng.random() < 0.5:
        letters.insert(rng.randint(1, len(letters)), str(rng.randint(0, 99)))
    text = "".join(letters)
    return text.upper() if rng.random() < 0.3 else text


def _value(rng: random.Random, slot: str, lang: Lang) -> str:
    if slot in ("name", "friend", "pet"):
        if lang == "zh" and rng.random() < 0.1:
            return rng.choice(NAMES)
        return person(rng, lang)
    if slot in ("place", "born"):
        return _place(rng, lang)
    if slot == "number":
        return str(rng.randint(0, 999) if rng.random() < 0.8 else rng.randint(1000, 99999))
    if slot == "age":
        return str(rng.randint(4, 99))
    if slot == "month":
        return rng.choice(_months(lang))
    if slot == "code":
        roll = rng.random()
        if roll < 0.3:
            return rng.choice(_nouns(lang))
        if roll < 0.55:
            return person(rng, lang, 1)
        return group(rng) if roll < 0.75 else str(rng.randint(100, 99999))
    if slot == "book":
        first, second = _BOOK[lang]
        return rng.choice(first) + (" " if lang == "en" else "") + rng.choice(second)
    return rng.choice({"like": _LIKES, "job": _JOBS, "colour": _COLOURS}[slot][lang])


@dataclass(frozen=True)
class Told:
    """A value of a slot, in the words in which it is told, acknowledged, asked for and answered."""

    slot: str
    kind: str
    tell: str
    known: str
    ask: str
    answer: str
    key: str


def told_once(rng: random.Random, lang: Lang, slot: str, kept: bool = False, kind: str = "") -> Told:
    """kept: with the wordings kept for the evaluation."""
    wordings = MEMORY[slot][lang]
    value = _value(rng, slot, lang)
    if not kind and slot in _KINDS:
        kind = rng.choice(_KINDS[slot][lang])
    tell = rng.choice(wordings.tell_kept if kept else wordings.tell)
    ask = rng.choice(wordings.ask_kept if kept else wordings.ask)
    key = f"memory/{slot}/{tell}/{ask}/{kind}/{value}" + ("!" if kept else "")
    if lang == "en" and rng.random() < 0.07:
        value = value.lower()  # typed without care; said again as it was typed
    ask = as_typed(rng, ask.format(k=kind), lang, lead=0.06)
    values = {"v": value, "k": kind}
    told = _typed_around(rng, tell, lang).format(**values)
    return Told(
        slot, kind, told, wordings.known.format(**values), ask, _first_up(wordings.answer.format(**values), lang), key
    )


def _first_up(text: str, lang: Lang) -> str:
    return text[0].upper() + text[1:] if lang == "en" else text


def _typed_around(rng: random.Random, template: str, lang: Lang) -> str:
    """``template`` as people type it; what is put in for its braces stays as it is."""
    roll = rng.random()
    if lang == "en":
        if roll < 0.15:
            template = template.lower()
        if 0.1 < roll < 0.25:
            template = template.removesuffix(".")
    elif roll < 0.15:
        template = template.removesuffix("。")
    elif roll < 0.3:
        template = template.replace("，", ",").replace("。", ".")
    return template


def filler(rng: random.Random, lang: Lang) -> Exchange:
    """A trained exchange to stand between two others."""
    if rng.random() < 0.6:
        return facts.exchange(rng, lang, held=False)
    return small_talk.exchange(rng, lang, False, names=_FILLERS)


_FILLERS = ("how", "thanks", "can", "joke", "maker", "nature", "yes", "happy", "praise")


def memory(rng: random.Random, lang: Lang, held: bool, turns_between: int | None = None) -> Dialogue:
    """Things are told, up to four exchanges pass, and one of them is asked for.

    held: exactly one thing is told. In training there are others too, newer values for the same thing, and things that
    were never told. turns_between: number of exchanges between telling and asking.
    """
    kept = held and rng.random() < 0.3
    while True:
        slot = rng.choices(SLOTS, _SLOT_WEIGHTS)[0]
        asked = told_once(rng, lang, slot, kept)
        if held_out(asked.key) == held:
            break
    told = [asked]
    answer = asked.answer
    roll = 1.0 if held else rng.random()
    if roll < 0.06:
        told, answer = [], NOT_TOLD[lang]
    elif roll < 0.16:
        told, answer = _others(rng, lang, (slot, *_NEAR.get(slot, ()))), NOT_TOLD[lang]
    elif roll < 0.42:
        told += _others(rng, lang, (slot,))
        rng.shuffle(told)
    elif roll < 0.52:
        older = told_once(rng, lang, slot, kind=asked.kind)
        told = [older, *(_others(rng, lang, (slot,))[:1] if rng.random() < 0.3 else ()), asked]
    pairs = [(one.tell, one.known) for one in told]
    if len(pairs) == 2 and rng.random() < 0.2:
        named = [one.known for one in told if one.slot == "name"]
        one_message = told[0].tell + ("" if told[0].tell.endswith((".", "。")) else "." if lang == "en" else "。")
        pairs = [(one_message + (" " if lang == "en" else "") + told[1].tell, (named or [pairs[1][1]])[-1])]
    between = rng.choice((0, 0, 1, 1, 2, 3, 4)) if turns_between is None else turns_between
    for _ in range(between):
        one = filler(rng, lang)
        pairs.insert(rng.randint(min(1, len(told)), len(pairs)) if not held else len(pairs), (one.question, one.answer))
    turns: list[Turn] = []
    for said, reply in (*pairs, (asked.ask, answer)):
        turns += [("user", said), ("assistant", reply)]
    return Dialogue("remembers", lang, tuple(turns), asked.key)


def _others(rng: random.Random, lang: Lang, without: tuple[str, ...]) -> list[Told]:
    """One to three things to be told, of other slots than ``without``."""
    slots = [slot for slot in rng.sample(SLOTS, rng.choice((1, 1, 2, 3)) + len(without)) if slot not in without]
    return [told_once(rng, lang, slot) for slot in slots[:3]]


def introduction(rng: random.Random, lang: Lang, held: bool) -> Exchange:
    """Only the telling: a name, say, and the polite answer."""
    while True:
        slot = "name" if rng.random() < 0.5 else rng.choices(SLOTS, _SLOT_WEIGHTS)[0]
        one = told_once(rng, lang, slot)
        key = f"told/{one.key}"
        if held_out(key) == held:
            return Exchange("small talk", lang, one.tell, one.known, key)


_ECHO = {
    "en": _items("""Say {v}|Say '{v}'|Say "{v}"|Repeat: {v}|Repeat after me: {v}|Please say {v}|Please repeat: {v}|Echo {v}|Can you say {v}|
Write {v}|Copy this: {v}|Say the following: {v}|Repeat {v}|Repeat '{v}'|Repeat "{v}"|Say: {v}|Write: {v}|Write this: {v}|Type {v}|
Print {v}|Output {v}|Copy {v}|Copy: {v}|Repeat this: {v}|Repeat exactly: {v}|Say only {v}|Answer with {v}|Answer only with {v}|
Please write {v}|Reply with {v}|Say it after me: {v}|Echo: {v}|I say {v}, you say|Read this out: {v}|Say '{v}' once more|
Please repeat "{v}"|Could you repeat {v}|Write down {v}|!Now say {v}|!Please copy: {v}|!Repeat the following: {v}"""),
    "zh": _items("""说{v}|请说{v}|跟我说：{v}|重复：{v}|请重复：{v}|跟我念：{v}|说一遍{v}|照着写：{v}|复制：{v}|说：{v}|请说：{v}|说“{v}”|请说“{v}”|
重复“{v}”|请重复“{v}”|重复{v}|写{v}|写：{v}|写下{v}|请写：{v}|写出“{v}”|打印{v}|输出{v}|输出：{v}|念{v}|念一遍：{v}|读一遍：{v}|照样说：{v}|
原样重复：{v}|只说{v}|只回答{v}|请回答“{v}”|把“{v}”重复一遍|把“{v}”说一遍|再说一遍：{v}|抄写：{v}|请照着说：{v}|你能说{v}吗|
!现在说{v}|!请复制：{v}|!重复下面的话：{v}"""),
}  # fmt: skip
_ECHO_TRAINED = {lang: tuple(t for t in texts if not t.startswith("!")) for lang, texts in _ECHO.items()}
_ECHO_KEPT = {lang: tuple(t[1:] for t in texts if t.startswith("!")) for lang, texts in _ECHO.items()}


def part(rng: random.Random, lang: Lang) -> str:
    """One word, name, number or group of letters."""
    roll = rng.random()
    if roll < 0.3:
        return rng.choice(_nouns(lang))
    if roll < 0.55:
        return person(rng, lang, 0.7)
    if roll < 0.88:
        return str(rng.randint(0, 10 ** rng.randint(1, 5) - 1))
    if roll < 0.92:
        return f"{rng.randint(0, 999)}.{rng.randint(1, 99)}"
    return group(rng)


_SAYINGS = {
    "en": _items("""{p} likes {w}|{p} has {n} friends|the {w} is here|I saw {p} today|{p} is not at home|my {w} is old|I have {n} {w}|
{p} and {q} are friends|we go home at {n}|the answer is {n}|the {w} and the {u}|good night {p}|{p} asks about the {w}|this is a {w}"""),
    "zh": _items("""{p}喜欢{w}|{p}有{n}个朋友|{w}在这里|我今天看见了{p}|{p}不在家|我的{w}很旧|我有{n}个{w}|{p}和{q}是朋友|我们{n}点回家|
答案是{n}|{w}和{u}|晚安{p}|{p}问起{w}|这是{w}"""),
}  # fmt: skip


def _filled(rng: random.Random, lang: Lang, template: str) -> tuple[str, dict[str, str]]:
    """``template`` with two names, two nouns and two numbers in it, and what was put in."""
    values = {
        "p": person(rng, lang, 0.6),
        "q": person(rng, lang, 0.6),
        "w": rng.choice(_nouns(lang)),
        "u": rng.choice(_nouns(lang)),
        "n": str(rng.randint(2, 10 ** rng.randint(1, 4))),
        "m": str(rng.randint(2, 10 ** rng.randint(1, 4))),
        "c": _place(rng, lang),
    }
    return template.format(**values), values


def echo(rng: random.Random, lang: Lang, held: bool) -> Exchange:
    """Words, names, numbers to be repeated, or in training also to be picked from a sentence.

    It is the practice for copying operands into tool calls.
    """
    if not held and rng.random() < 0.35:
        return _picked(rng, lang)
    kept = held and rng.random() < 0.3
    while True:
        roll = rng.random()
        if roll < 0.1:
            value = _filled(rng, lang, rng.choice(_SAYINGS[lang]))[0]
        elif roll < 0.16:
            first, step = rng.randint(0, 50), rng.randint(1, 10)
            value = " ".join(str(first + step * i) for i in range(rng.randint(3, 6)))
        else:
            between = " " if rng.random() < 0.85 else ", " if lang == "en" else "、"
            value = between.join(part(rng, lang) for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 3, 4, 5, 6))))
        template = rng.choice((_ECHO_KEPT if kept else _ECHO_TRAINED)[lang])
        key = f"echo/{template}/{value}" + ("!" if kept else "")
        if held_out(key) == held:
            text = template.format(v=value)
            return Exchange("repeats", lang, text + rng.choice(("", "", ".", "。" if lang == "zh" else "")), value, key)


_SENTENCES = {
    "en": {
        "n": _items("""I bought {n} apples.|There are {n} birds in the tree.|The book has {n} pages.|She paid {n} euros.|It is {n} degrees today.|
We walked {n} kilometers.|The train leaves in {n} minutes.|My house number is {n}.|They sold {n} tickets.|He is {n} years old.|
The box weighs {n} kilograms.|Add {n} to the list.|I need {n} chairs.|The room has {n} seats.|{n} people came.|Wait {n} seconds."""),
        "p": _items("""{p} lives in the city.|Yesterday {p} went home.|My friend {p} is here.|I met {p} at school.|{p} has a dog.|The teacher is called {p}.|
This letter is from {p}.|{p} likes tea.|We are waiting for {p}.|Give the book to {p}.|The winner is {p}.|{p} plays the piano."""),
        "c": _items("""I live in {c}.|We flew to {c}.|What is the weather in {c}?|The train goes to {c}.|How warm is it in {c}?|She works in {c}.|
My uncle comes from {c}.|The meeting is in {c}.|What time is it in {c}?|Is it raining in {c}?|They moved to {c} last year."""),
        "two": _items("""What is {n} plus {m}?|What is {n} times {m}?|What is {n} minus {m}?|Add {n} and {m}.|Multiply {n} by {m}.|How much is {n} + {m}?|
How much is {n} * {m}?|Take {n} and {m}.|Divide {n} by {m}.|{n} and {m}|Please add {n} to {m}.|How far is it from {n} to {m}?|
Which is larger, {n} or {m}?|Calculate {n} - {m}.|The sum of {n} and {m}|I have {n} apples and {m} pears."""),
    },
    "zh": {
        "n": _items("""我买了{n}个苹果。|树上有{n}只鸟。|这本书有{n}页。|她付了{n}元。|今天{n}度。|我们走了{n}公里。|火车{n}分钟后出发。|我的门牌号是{n}。|
他们卖了{n}张票。|他{n}岁了。|箱子重{n}公斤。|我需要{n}把椅子。|房间里有{n}个座位。|来了{n}个人。|请等{n}秒。"""),
        "p": _items("""{p}住在城里。|昨天{p}回家了。|我的朋友{p}在这里。|我在学校遇见了{p}。|{p}有一只狗。|老师叫{p}。|这封信是{p}写的。|{p}喜欢茶。|
我们在等{p}。|把书给{p}。|冠军是{p}。|{p}会弹钢琴。"""),
        "c": _items("""我住在{c}。|我们飞到了{c}。|{c}的天气怎么样？|火车开往{c}。|{c}今天多少度？|她在{c}工作。|我叔叔来自{c}。|会议在{c}开。|
{c}现在几点？|{c}下雨了吗？|他们去年搬到了{c}。"""),
        "two": _items("""{n}加{m}等于多少？|{n}乘以{m}是多少？|{n}减{m}等于多少？|把{n}和{m}相加。|{n}乘{m}|{n} + {m} 是多少？|{n} * {m} 等于几？|{n}和{m}|
{n}除以{m}是多少？|请把{n}和{m}加起来。|{n}和{m}哪个大？|计算 {n} - {m}。|{n}与{m}的和|我有{n}个苹果和{m}个梨。"""),
    },
}  # fmt: skip
_PICK = {
    "en": {
        "n": _items("""Which number is in this sentence: {s}|Which number is in this text: {s}|Find the number: {s}|What is the number in: {s}|
Give only the number: {s}|Take the number out of this: {s}"""),
        "p": _items("""Which name is in this sentence: {s}|Whose name is in this text: {s}|Find the name: {s}|Which person is in this sentence: {s}|
Give only the name: {s}"""),
        "c": _items("""Which place is in this sentence: {s}|Find the place: {s}|Which place is named here: {s}|Give only the place: {s}"""),
        "two": _items("""Write the two numbers as {x} and {y}: {s}|Name the numbers as {x} and {y}: {s}|What are {x} and {y} here: {s}|
Give {x} and {y}: {s}|Which numbers are {x} and {y}: {s}"""),
    },
    "zh": {
        "n": _items("这句话里的数字是什么：{s}|找出数字：{s}|下面的话里有哪个数字：{s}|只写出数字：{s}|从这句话中取出数字：{s}"),
        "p": _items("这句话里的名字是什么：{s}|找出名字：{s}|这句话说的是谁：{s}|只写出名字：{s}|下面的话里有哪个名字：{s}"),
        "c": _items("这句话里的地点是什么：{s}|找出地点：{s}|这句话说的是什么地方：{s}|只写出地点：{s}"),
        "two": _items("把两个数字写成{x}和{y}：{s}|用{x}和{y}写出数字：{s}|这里的{x}和{y}是什么：{s}|给出{x}和{y}：{s}"),
    },
}  # fmt: skip
_KEYS = (("a", "b"), ("a", "b"), ("x", "y"), ("first", "second"), ("left", "right"), ("n", "m"))


def _picked(rng: random.Random, lang: Lang) -> Exchange:
    """A number, a name, a place or two operands, to be found in a sentence."""
    while True:
        what = rng.choices(("n", "p", "c", "two"), (3, 2, 2, 4))[0]
        sentence, values = _filled(rng, lang, rng.choice(_SENTENCES[lang][what]))
        x, y = rng.choice(_KEYS)
        template = rng.choice(_PICK[lang][what])
        question = template.format(s=sentence, x=x, y=y)
        answer = f"{x}={values['n']}, {y}={values['m']}" if what == "two" else values[what]
        key = f"pick/{template}/{question}"
        if not held_out(key):
            return Exchange("repeats", lang, question, answer, key)
