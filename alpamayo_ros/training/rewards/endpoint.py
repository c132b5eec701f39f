"""The other critic: a large reasoning model behind any endpoint that speaks OpenAI's chat completions.

It is asked at temperature 0. A run that goes on after a kill asks again, and ends in the same bits as far as the
endpoint gives the same grades.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from typing import Any

from alpamayo_ros.reasoning.vocabulary import describe
from alpamayo_ros.training.errors import TrainingError
from alpamayo_ros.training.rewards.reasoning import BEST, Critic
from alpamayo_ros.training.situation import Situation

ATTEMPTS = 4
"""How often an answer is asked for, with pauses of 1, 2 and 4 s between."""
_BUSY = (408, 429, 500, 502, 503, 504)
"""Answers of a server that is worth asking again."""
_RUBRIC = """\
You grade one sentence in which a self-driving car says what it decides and why. Grade it against the facts, which are
certain. They were found by taking each thing out of the scene and watching what changed.

Behaviour consistency: does the sentence say the true decision for speed and for path, and no other?
Causal quality: does it name all the true causes as they are, and nothing that caused nothing or is not there?

5  both decisions right, exactly the true causes, one plain sentence
4  right, with a slip of wording or one cause told imprecisely
3  one decision wrong or missing, or one cause wrong or missing
2  little is right
1  hardly anything is right, but it can be read
0  unreadable, or nothing is right

Other wordings of the same facts are as good. Think first if you like. The last line of your answer must be this JSON
object alone, with a number from 0 to 5: {"grade": 3.5}
"""
_AGAIN = """The last line of your answer must be a JSON object alone, such as {"grade": 3.5}. Answer with that line."""
_GRADE = re.compile(r'\{\s*"grade"\s*:\s*(-?\d+(?:\.\d+)?)\s*\}[\s`*.]*\Z')
"""The object at the end of an answer; models put it into bold or a block of code."""


class EndpointCritic(Critic):
    """url: up to and including `/v1`. key: name of the environment variable with the key; empty where none is asked
    for. seconds: to wait for one answer."""

    def __init__(self, url: str, model: str, key: str, seconds: float, at_once: int) -> None:
        """Raises TrainingError where the environment variable is not set."""
        if key and not os.environ.get(key):
            raise TrainingError(f"the environment variable {key} is not set; put the critic's key there")
        self.at_once = at_once
        self._url, self._model, self._seconds = f"{url.rstrip('/')}/chat/completions", model, seconds
        self._headers = {"Content-Type": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {os.environ[key]}"

    def grade(self, text: str, situation: Situation) -> float:
        problem, question = "", f"{_facts(situation)}\nThe sentence: {text}"
        messages = [{"role": "system", "content": _RUBRIC}, {"role": "user", "content": question}]
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(2.0 ** (attempt - 1))
            try:
                answer = self._ask(messages)
                grade = _grade_in(answer)
                if grade is not None:
                    return grade
                # Asked the same again, the same would be answered.
                messages += [{"role": "assistant", "content": answer}, {"role": "user", "content": _AGAIN}]
                problem = f'the answer ends in {answer.strip()[-60:]!r}, not in {{"grade": 0 to {BEST:.0f}}}'
            except urllib.error.HTTPError as error:
                problem = f"HTTP {error.code} {error.reason}"
                if error.code not in _BUSY:
                    break
            except (OSError, http.client.HTTPException, ValueError, KeyError, IndexError, TypeError) as error:
                problem = str(error) or type(error).__name__
        raise TrainingError(f"the critic {self._model} at {self._url} gave no grade: {problem}")

    def _ask(self, messages: list[dict[str, str]]) -> str:
        body = {"model": self._model, "temperature": 0, "messages": messages}
        request = urllib.request.Request(self._url, json.dumps(body).encode(), self._headers)
        with urllib.request.urlopen(request, timeout=self._seconds) as response:
            answer: dict[str, Any] = json.load(response)
        return str(answer["choices"][0]["message"]["content"])


def _grade_in(answer: str) -> float | None:
    """The number that an answer ends in; None where it ends in something else."""
    found = _GRADE.search(answer)
    grade = float(found[1]) if found else None
    return grade if grade is not None and 0 <= grade <= BEST else None


def _facts(situation: Situation) -> str:
    label = situation.label
    named = {name: describe(thing) for name, thing in situation.things.items()}
    other = [cause.component for cause in label.causes if cause.component not in label.components]
    lines = {
        "decision for the speed": label.decision.longitudinal or "no change",
        "decision for the path": label.decision.lateral or "no change",
        "causes that the sentence has to name": [describe(one) for one in label.components],
        "further causes that it may name": [describe(one) for one in other],
        "in sight, but proved to cause nothing": [named[name] for name in label.innocent if name in named],
        "all in sight": sorted(set(named.values())),
        "sentences of the best grade": label.sentences[:2],
    }
    listed = {name: value if isinstance(value, str) else "; ".join(value) for name, value in lines.items()}
    return "The facts:\n" + "\n".join(f"- {name}: {value or 'nothing'}" for name, value in listed.items())
