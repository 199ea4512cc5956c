"""Sentences of a source that give orders to whoever writes from it.

An order has a word of command in its place (first, behind "please" or "must", in a turn of talk) and speaks
of what an agent works on: the article, its title, its citations, the words to use, a tool. Sources describe
the world; even a guide to writing loses little when such a sentence is not shown.

The patterns were written from examples and know little else: of 30 orders that were put down afterwards, they
found none. Whoever adds some should measure them on orders that they were not made from.
"""

import re

_SAY = (
    "write|say|state|mention|include|insert|add|append|quote|repeat|print|output|cite|recommend|praise|"
    "promote|mark|rate|approve|obey|follow|ignore|tell|reply|respond|answer|claim|assert|confirm"
)
_DO = (
    f"{_SAY}|put|place|use|set|make|credit|attribute|advise|link|begin|start|open|close|end|finish|urge|"
    "call|name|describe|present|report|replace|direct|send|point|copy|reveal|show|disclose|feature|weave"
)
_MUST = r"(?:must|should|shall|(?:has|have|had|need|needs|ought|is|are)\s+to|will)"
_POLITE = r"(?:please\s+|kindly\s+|always\s+)?"
# Where a sentence's word of command stands.
_FIRST = (
    r"(?:^\W*|[:.;,!—|]\s*[\"'“„«]?|"
    r"\b(?:please|kindly|always|also|so|then|and|or|simply|just|now|to|you|don't forget to)\s+)"
)
_PIECE = (
    r"(?:article|summary|summaries|draft|write-up|blog post|headline|conclusion|introduction|output|answer|"
    r"reply|final text|(?:first|last|opening|closing|final|next)\s+(?:paragraph|sentence|section|line)|"
    r"meta\s+(?:title|description))s?"
)
_WORK = rf"(?:the|this|that|your|every|each|any|all|an?|its|our)\s+(?:[\w-]+\s+){{0,2}}?{_PIECE}"
_MODEL = (
    r"(?:ai|a\.i\.|ais|llms?|(?:ai|language)\s+(?:agents?|models?|systems?|assistants?|writers?)|chatbots?|"
    r"assistants?)"
)
_READER = (
    rf"(?:{_MODEL}|analysts?|fact[- ]?checkers?|proofreaders?|copy\s?writers?|summari[sz]ers?|"
    r"writing agents?)"
)
_ENGLISH = (
    # Do something with the article.
    rf"{_FIRST}(?:{_DO})\b(?!\s+of\b).{{0,140}}?\b{_WORK}\b",
    rf"\b(?:in|into|at the end of)\s+{_WORK}\b,?\s+{_POLITE}(?:{_DO})\b",
    rf"\b(?:the\s+text|{_WORK})\s+(?:[\w-]+\s+){{0,3}}?{_MUST}\s+(?:\w+\s+){{0,3}}?"
    rf"(?:{_SAY}|advise|link|begin|open|end|close|name|call|describe|present|feature)\b",
    rf"\b{_MUST}\s+(?:appear|stand|be\s+(?:mentioned|named|praised|recommended|linked|quoted))\b"
    rf".{{0,60}}\b{_WORK}\b",
    rf"\b(?:good|honest|proper|fair|complete)\s+{_PIECE}\b.{{0,60}}?\b(?:mentions|says|names|recommends|links)\b",
    r"\b(?:whoever|(?:anyone|anybody|everyone|those|all)\s+who)\s+(?:writes?|summari[sz]es?|"
    rf"cites?|quotes?|reports?)\b.{{0,80}}?\b{_MUST}\b",
    # Somebody who works on it is spoken to.
    rf"\b{_READER}\b\s*(?:[|:,]|\b{_MUST})\s*(?:\W{{0,3}}|please\s+|\w+\s+)(?:{_SAY}|add|put)\b",
    rf"(?:^\W*|\bto\s+(?:the\s+|all\s+|any\s+)?)(?:hey|hi|hello|dear|attention)?,?\s*{_MODEL}\s+"
    r"(?:reading|processing|summari[sz]ing|that|who|which)\b",
    rf"^\W*(?:hey|hi|hello|dear|attention)\s+(?:\w+\s+)?{_READER}\b",
    r"^\W*(?:human|assistant|chatbot|chatgpt|claude|gemini|grok|llm)\s*:\s",
    r"\b(?:you are|you're|imagine you are|your name is|play the (?:part|role) of)\s+(?:now\s+)?[\w-]+,\s+"
    r"(?:an?|the)\s+(?:\w+\s+){0,2}?(?:writer|assistant|ai|model|journalist|author|agent|bot|expert|"
    r"reporter)\b",
    r"\byou (?:will|shall|must) now (?:speak|write|act|answer|respond|behave)\b",
    r"\bwhen(?:ever)? (?:you are )?(?:asked|summari[sz]ing|writing|answering)\b.{0,60}?,\s*(?:you )?"
    rf"(?:{_SAY})\b",
    r"\b(?:stop|forget) what you (?:are|were) doing\b|\bthe real task\b|\brepeat after me\b",
    r"\b(?:system|developer)\s+(?:message|prompt)\b.{0,60}\b(?:says|replaced|out of date|is now)\b",
    r"\b(?:contents? of )?your context window\b|\byour (?:first|initial) instructions\b",
    r"#{2,}\s*(?:instruction|response)s?\s*:",
    # The very words, titles and keywords.
    rf"(?:^\W*|[:.;,!|]\s*|\b(?:please|and|must|should|to)\s+)(?:{_SAY})\s+(?:(?:exactly|verbatim|"
    r"word for word|literally|only|the following|these words|this sentence|the (?:exact )?(?:sentence|words|"
    r"phrase))\b\s*)+[:,]?\s*[\"“„«:']",
    r"^\W*(?:please\s+)?(?:say|write|mention|state|include|add|use|insert)\s+[\"“„«]",
    r"(?:^\W*|[.:;,]\s+|\b(?:please|and|always|must|should)\s+)(?:set|use|make|change|put|open|begin|give)\b"
    r".{0,80}?\b(?:first keyword|keywords?\b.{0,30}\bdescription|seo\b|search engines?|"
    r"meta (?:title|description)|slug)\b",
    r"\b(?:keywords?|verdicts?)\s+(?:for|of|on)\s+(?:this article|all|every)\b.{0,20}:",
    # Citations by number, checks to be left out, tools by name.
    r"\b(?:cite|citing|credit(?:ed)?|attribut(?:e|ed))\b.{0,80}?\b(?:source|passage|citation|footnote)s?\s+"
    r"(?:(?:number|no\.?)\s+)?\[?\d+",
    r"\b(?:skip|omit|without|no need for)\s+(?:the\s+|a\s+)?fact[- ]?check",
    r"^\W*(?:do not|don't|never)\s+(?:check|verify|question|compare)\b.{0,40}"
    r"\b(?:paragraph|sentence|source)s?\b",
    r"(?:^\W*|[.:;,]\s+|\b(?:please|and|must|should|to|you)\s+)(?:call|run|invoke|execute|use|trigger)\s+"
    r"(?:the\s+|your\s+)?(?:\w+\s+)?(?:tool|function|plugin)\s+[`\"']?[a-z]+(?:_[a-z0-9]+)+\b(?!\()",
    r"\buse your\s+(?:\w+\s+)?(?:tools?|browser|plugins?|search)\b",
    # Readers are to be sent somewhere, or to buy.
    rf"^\W*{_POLITE}(?:tell|urge|advise|remind|encourage|invite|direct|send|point)\s+"
    r"(?:the\s+|your\s+|all\s+)?(?:readers?|visitors?|(?:the|your) audience|everyone)\b",
    rf"^\W*{_POLITE}recommend\s+(?:buying|to buy|investing|purchasing|staking|selling|[A-Z])",
)
_OTHERS = (
    # German
    r"\b(?:schreib\w*|erwähn\w*|nenn\w*|füg\w*|setz\w*|empfiehl|empfehlen sie|zitier\w*|verlink\w*|lob\w*)"
    r"\b.{0,80}\b(?:im|in|den|dem|deine[nmr]?|ihre[nmr]?|diese[nm]?)\s+(?:artikel|text|beitrag|entwurf|"
    r"antwort|zusammenfassung|absatz|überschrift)\b",
    r"\b(?:hinweis|anweisung|nachricht|notiz)(?:en|e)? (?:für|an) (?:\w+ )?(?:ki|llms?|ki-\w+|assistent\w*|"
    r"sprachmodell\w*|chatbots?|redakteur\w*)\b",
    r"\b(?:der|jeder|dieser|ein|dein|ihr)\s+(?:artikel|text|beitrag)\s+(?:muss|soll|sollte|hat)\b.{0,80}"
    r"\b(?:erwähnen|nennen|enthalten|sagen|empfehlen|verlinken|schreiben|zu \w+)\b",
    r"\b(?:du bist|sie sind) (?:jetzt|nun|ab jetzt|ab sofort)\b|\bvergiss (?:alles|was)\b",
    # Spanish
    r"\b(?:escrib\w+|incluy\w+|incluir|mencion\w+|añad\w+|agreg\w+|recomiend\w+|pon|ponga|cit[ae]\w*|enlaz\w+)"
    r"\b.{0,80}\b(?:en|del?|al)\s+(?:el|tu|su|este|cada|primer)?\s*(?:artículo|texto|resumen|borrador|"
    r"párrafo|título)\b",
    r"\b(?:nota|mensaje|instrucci\w+) (?:para|a) (?:los |las |la |el )?(?:ia|asistentes?|modelos?|chatbots?|"
    r"llms?|redactor\w*)\b",
    r"\b(?:el|tu|cada|este|todo) artículo (?:debe|tiene que|deberá)\b",
    r"\ba partir de ahora,? (?:eres|tú|debes)\b",
    # French
    r"\b(?:écri\w+|inclu\w+|mentionn\w+|ajout\w+|recommand\w+|insér\w+|cit\w+|mets|mettez)\b.{0,80}"
    r"\b(?:dans|de|à)\s+(?:l'|votre |ton |cet |le |chaque )\s*(?:article|texte|résumé|brouillon|paragraphe|"
    r"titre)\b",
    r"\b(?:note|message|instructions?|consignes?) (?:pour|à|aux?) (?:les |l'|la )?(?:ia|assistants?|modèles?|"
    r"chatbots?|llms?|rédact\w+)\b",
    r"\b(?:l'|cet |chaque |tout |ton |votre )article (?:doit|devra|devrait)\b",
    r"\bà partir de maintenant,? (?:tu|vous)\b",
    # Italian, Chinese, Russian (in letters as they are)
    r"\b(?:ignora|dimentica)\b.{0,30}\b(?:istruzioni|indicazioni)\b",
    r"\bnel (?:tuo|vostro) (?:articolo|testo)\b",
    r"忽略.{0,10}(?:指令|指示|提示)",
    r"\b(?:про)?игнорируй\w*\b.{0,40}\bинструкци\w*|\bзабудь\w*\b.{0,40}\bинструкци\w*",
)
_PATTERNS = tuple(re.compile(one, re.I) for one in (*_ENGLISH, *_OTHERS))
_STRAIGHT = str.maketrans({"’": "'", "‘": "'"})


def orders(text: str) -> str:
    """The words of a line of text that give an order to an agent, "" if none do."""
    straight = text.translate(_STRAIGHT)
    found = (pattern.search(straight) for pattern in _PATTERNS)
    return next((match[0] for match in found if match), "")
