from cryptocontent.content.readability import readability, syllables


def test_readability_follows_the_published_formulas():
    assert syllables("transaction") == 3
    easy = readability(["The cat sat on the mat.", "The dog ran to the cat."])
    assert easy == {"flesch_reading_ease": 116.1, "flesch_kincaid_grade": -1.4}
    hard = readability(
        ["Decentralised authorisation mechanisms necessitate comprehensive cryptographic verification."]
    )
    assert hard["flesch_reading_ease"] < 0 < 12 < hard["flesch_kincaid_grade"]
    assert readability([]) == {"flesch_reading_ease": 0.0, "flesch_kincaid_grade": 0.0}
