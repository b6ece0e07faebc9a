"""What kind of task a message is, by its words: code, creative, analysis, or general when in doubt.

Local and quick: one look for marks of code, then each word is looked up among the cues of seven languages. A
strong cue is enough, weak ones need company. A wrong guess costs nothing but a model that is a little less
suited, so two kinds that are equally likely make a general task.
"""

import re
from enum import StrEnum


class Task(StrEnum):
    """The kinds of task that the operator's map knows."""

    CODE = "code"
    CREATIVE = "creative"
    ANALYSIS = "analysis"
    GENERAL = "general"


# What is asked stands at the beginning or at the end of a message; between them is what it is about.
BEGINNING, END = 1_500, 500
ENOUGH = 2

_Cues = dict[str, tuple[Task, int]]

# Per kind: strong cues, then weak ones. A star stands for any ending.
_WORDS: dict[Task, tuple[str, str]] = {
    Task.CODE: (
        """
        python javascript typescript golang kotlin php perl c++ c# sql mysql postgres postgresql
        sqlite html css bash powershell regex regexp dockerfile kubernetes numpy pandas django fastapi
        react nodejs webpack json yaml git github segfault stacktrace traceback nullpointerexception
        compiler refactor* debug* leetcode pytest junit algorithm algorithms codebase backend frontend
        programmier* algorithmus quellcode quelltext programar programación programaçao programação
        programme*r programmation algoritmo algorithme código كود الكود شيفرة برمجي برمجية البرمجة برمجة
        بايثون خوارزمية
        """,
        """
        code codes coding script function functions method class classes variable variables loop loops
        array arrays string strings bug bugs error exception compile* program implement* recursive
        recursion pointer query api endpoint library module java rust ruby swift test tests commit rebase
        merge server thread async funktion funktionen schleife variablen fehler klasse methode abfrage
        skript rekursiv* datei función funciones bucle clase método consulta
        error errores excepción recursiv* fonction fonctions boucle classe méthode requête implémente*
        erreur récursi* fichier função funções laço classe método consulta erro exceção
        recursiva دالة متغير حلقة خطأ برنامج استعلام مصفوفة
        """,
    ),
    Task.CREATIVE: (
        """
        poem poems poetry haiku sonnet limerick lyrics ballad fanfiction screenplay slogan slogans
        tagline taglines fairytale rhyme rhyming gedicht gedichte märchen liedtext liedtexte
        kurzgeschichte werbespruch werbeslogan werbetext drehbuch sonett reime reimt ballade poema
        poemas poesía cuento soneto eslogan eslóganes microrrelato poème poèmes poésie conte haïku
        scénario poesia poeminha haicai conto roteiro قصيدة قصائد هايكو خاطرة أغنية شعار شعارا
        """,
        """
        story stories song novel tale joke fictional fiction character dialogue speech toast advert
        advertisement creative write compose invent imagine tell verse verses riddle letter geschichte
        lied roman witz rede schreib schreibe erfinde erzähl erzähle dichte verfasse werbung figur
        historia canción novela chiste escribe escríbeme inventa cuéntame compón redacta crea anuncio
        letra verso histoire chanson roman blague écris rédige invente compose raconte imagine paroles
        publicité discours história canção romance piada escreva escreve invente conte componha crie
        anúncio versos قصة رواية نكتة شعر شعرا اكتب ألف احك احكي انظم أنشئ إعلان حكاية
        """,
    ),
    Task.ANALYSIS: (
        """
        compare comparison analyze analyse analysis analyzing evaluate evaluation calculate calculation
        pros tradeoffs correlation forecast probability statistical regression assess swot compute
        percentage vergleich vergleiche vergleichen analysier* bewerte berechne* auswert*
        wahrscheinlichkeit prognose beurteile korrelation interpretiere gegenüberstellung compara
        comparación analiza análisis evalúa calcula* probabilidad porcentaje pronóstico correlación
        comparez comparaison analysez évalue évaluez calculez probabilité pourcentage corrélation
        prévision comparação analise análise avalie probabilidade porcentagem correlação قارن حلل تحليل
        قيّم قيم احسب احتمال مقارنة
        """,
        """
        difference versus vs average trend trends estimate data statistics percent rate growth better
        cost interest advantages disadvantages interpret revenue median unterschied durchschnitt prozent
        daten statistik vorteile nachteile wachstum zinsen rechne schätze umsatz diferencia promedio
        media datos estadística ventajas desventajas estima interés crecimiento différence moyenne
        données statistique avantages inconvénients estime intérêts croissance calcule analyse diferença
        média dados estatística vantagens desvantagens estime juros crescimento calcule الفرق متوسط
        بيانات نسبة إحصاء مزايا عيوب إيجابيات سلبيات توقع
        """,
    ),
}
_SIGNS: dict[Task, tuple[str, str]] = {
    Task.CODE: ("代码 编程 函数 算法 正则 报错 脚本 数据库", "程序 循环 变量 数组 接口 查询 实现 类"),
    Task.CREATIVE: (
        "诗 小说 歌词 童话 广告语 俳句 剧本 对联 散文",
        "故事 口号 笑话 标语 作文 创作 写一 编一 讲一 宣传 想象",
    ),
    Task.ANALYSIS: (
        "比较 分析 评估 计算 优缺点 利弊 概率 百分比 对比 预测 统计",
        "趋势 差异 区别 数据 平均 增长",
    ),
}
# One of these stands in every text that has a mark of code: most messages are done with a look for them.
_HINTS = (
    *(
        "```",
        "def ",
        "class ",
        "import ",
        "#include",
        "const ",
        "let ",
        "var ",
        "function",
        "Traceback",
    ),
    *("Error", "Exception", "</", "=>", "git ", "()", ";\n", "self.", "npm ", "pip ", "docker "),
    *(".py", ".js", ".ts", ".java", ".cpp", ".rs", ".go", ".sh", ".sql", ".html", ".css", ".yaml", ".yml"),
)
_MARKS = re.compile(
    r"```|^[ \t]{0,40}(?:def|class) \w+[(:]|^[ \t]{0,40}(?:from \w[\w.]* )?import \w|#include[ ]?<"
    r"|\b(?:const|let|var) \w+ ?=|\bfunction ?\w*\(|\bTraceback \("
    r"|\b[A-Z]\w{1,40}(?:Error|Exception)\b|</\w+>|=> ?\{|\w\(\)|;$|\bself\.\w|\b(?:git|npm|pip|docker) \w"
    r"|\w\.(?:py|js|tsx?|java|cpp|rs|go|sh|sql|html|css|ya?ml)\b",
    re.MULTILINE,
)
_SUM = re.compile("\\d {0,3}(?:[%\u00d7*/+^]|-(?= )) {0,3}\\d|\\d ?%")
# A word of a script with spaces; C++ and C# carry their marks.
_WORD = re.compile("[^\\W_\u4e00-\u9fff]+(?:\\+\\+|#)?")
_ARABIC_ARTICLE = "\u0627\u0644"
_CHINESE = re.compile("[\u4e00-\u9fff]")


def _cues(table: dict[Task, tuple[str, str]]) -> _Cues:
    return {
        cue: (task, weight)
        for task, cues in table.items()
        for weight, words in zip((ENOUGH, 1), cues, strict=True)
        for cue in words.split()
    }


_BY_SIGN = _cues(_SIGNS)
_ALL = _cues(_WORDS)
_BY_WORD = {cue: found for cue, found in _ALL.items() if not cue.endswith("*")}
# All stems are longer than this beginning, by which they are found.
_START = 5
_NO_STEM = ("", None)
_BY_START = {
    stem[:_START]: (stem, found) for stem, found in ((c[:-1], f) for c, f in _ALL.items() if c[-1] == "*")
}


def task_of(text: str) -> Task:
    """Return what kind of task ``text`` is."""
    if len(text) > BEGINNING + END:
        text = f"{text[:BEGINNING]}\n{text[-END:]}"
    scores = dict.fromkeys((Task.CODE, Task.CREATIVE, Task.ANALYSIS), 0)
    if _has_marks(text):
        scores[Task.CODE] += ENOUGH + 1
    if _SUM.search(text):
        scores[Task.ANALYSIS] += 1
    for task, weight in _found(text):
        scores[task] += weight
    (first, most), (_, second), *_ = sorted(scores.items(), key=lambda each: -each[1])
    return first if most >= ENOUGH and most > second else Task.GENERAL


def _has_marks(text: str) -> bool:
    """Tell whether something in the text is written as code is."""
    if "SELECT " in text and "FROM " in text:
        return True
    return any(hint in text for hint in _HINTS) and _MARKS.search(text) is not None


def _found(text: str) -> list[tuple[Task, int]]:
    """Return the cues in the text."""
    words = dict.fromkeys(_WORD.findall(text.lower()))
    found = [cue for word in words if (cue := _cue(word)) is not None]
    if _CHINESE.search(text):
        found += [cue for sign, cue in _BY_SIGN.items() if sign in text]
    return found


def _cue(word: str) -> tuple[Task, int] | None:
    cue = _BY_WORD.get(word)
    if cue is not None:
        return cue
    stem, found = _BY_START.get(word[:_START], _NO_STEM)
    if stem and word.startswith(stem):
        return found
    return _BY_WORD.get(word[2:]) if word.startswith(_ARABIC_ARTICLE) else None
