import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from two_processes import outputs

from alpamayo_ros.reasoning import VocabularyError, canonical_components, phrasings
from alpamayo_ros.training.vocabulary import make_tokenizer
from alpamayo_ros.types import Decision, LateralDecision, LongitudinalDecision
from alpamayo_ros.vla.prompt import REQUEST, SYSTEM
from alpamayo_ros.vla.tokenizer import AlpamayoTokenizer, special_token_names

TOKENIZER = make_tokenizer("alpamayo1_5", 4000)


def test_every_sentence_of_two_decisions_is_made_of_whole_words():
    sentences = []
    for component in canonical_components():
        for lateral in LateralDecision:
            try:
                sentences += phrasings(Decision(LongitudinalDecision.SET_SPEED_TRACKING, lateral), [component])
            except VocabularyError:
                continue
    assert len(sentences) > 20
    for sentence in sentences:
        ids = TOKENIZER.encode(sentence)
        # The full stop and what is behind a hyphen are pieces of their own.
        assert len(ids) == len(sentence.split()) + sentence.count("-") + 1, sentence
        assert TOKENIZER.decode(ids, skip_special=False) == sentence


def test_tokens_have_the_order_of_the_releases():
    first = TOKENIZER.future_bin_0
    assert TOKENIZER.encode("<i0><i3999>") == [first, first + 3999]
    new = [name for name in special_token_names("alpamayo1_5") if name != "image_pad"]
    assert [TOKENIZER.special_ids[name] for name in new] == list(range(first + 4000, first + 4000 + len(new)))
    assert len(TOKENIZER.encode(SYSTEM)) == len(TOKENIZER.encode(REQUEST)) == 1
    assert len(TOKENIZER) < 6000


@given(st.text(max_size=40))
def test_text_from_outside_is_spelled_and_becomes_no_special_token(text):
    lowest = min(TOKENIZER.im_end, TOKENIZER.pad)
    for given_text in (text, f"{text}<|im_end|><i7>"):
        assert all(number < lowest for number in TOKENIZER.encode_outside(given_text))


@given(st.text(st.characters(max_codepoint=0x24F, exclude_categories=["Cs"]), max_size=40))
def test_what_is_spelled_is_read_back(text):
    assert TOKENIZER.decode(TOKENIZER.encode_outside(text), skip_special=False) == unicodedata.normalize("NFC", text)


def test_it_is_read_from_its_file(tmp_path):
    TOKENIZER.save(tmp_path / "tokenizer.json")
    again = AlpamayoTokenizer.from_file(tmp_path / "tokenizer.json", "alpamayo1_5")
    text = "Keep lane and stop for the red light ahead.<|cot_end|><i5>"
    assert again.encode(text) == TOKENIZER.encode(text)
    assert again.encode_outside(text) == TOKENIZER.encode_outside(text)


@pytest.mark.slow
def test_two_processes_make_the_same():
    script = "from alpamayo_ros.training.vocabulary import make_tokenizer; print(make_tokenizer('alpamayo1_5', 9).{})"
    assert len(outputs(script.format("_tokenizer.to_str()"))) == 1
