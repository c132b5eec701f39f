"""The critic behind an endpoint, against a server of our own."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from alpamayo_ros.training.errors import TrainingError
from alpamayo_ros.training.rewards import endpoint
from alpamayo_ros.training.rewards.endpoint import ATTEMPTS, EndpointCritic
from alpamayo_ros.training.rewards.reasoning import ReasoningReward
from alpamayo_ros.training.rewards.reward import Attempt
from alpamayo_ros.types import PlanSample

TORN = 203
TEXT = "Keep lane and yield to the pedestrian in the crosswalk."


def said(content):
    return 200, json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]})


class Server:
    """Gives its answers one after the other, the last one for ever; remembers what it was asked. After the status
    `TORN` it promises more than it sends."""

    def __init__(self, answers):
        self.answers, self.asked, self.headers = list(answers), [], []
        mine = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                length = int(self.headers["Content-Length"])
                mine.asked.append((self.path, json.loads(self.rfile.read(length))))
                mine.headers.append(self.headers)
                status, body = mine.answers.pop(0) if len(mine.answers) > 1 else mine.answers[0]
                self.send_response(status)
                if status == TORN:
                    self.send_header("Content-Length", str(len(body) + 1))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http.server_port}/v1"


@pytest.fixture
def serve(monkeypatch):
    servers, pauses = [], []
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(endpoint.time, "sleep", pauses.append)

    def make(*answers, key=""):
        servers.append(Server(answers))
        servers[-1].pauses = pauses
        return servers[-1], EndpointCritic(servers[-1].url, "judge", key, seconds=5.0, at_once=2)

    yield make
    for server in servers:
        server.http.shutdown()
        server.http.server_close()


def test_the_grade_is_the_last_line_of_the_answer(serve, crossing, monkeypatch):
    monkeypatch.setenv("CRITIC_KEY", "secret")
    server, critic = serve(said('Both decisions are right.\n{"grade": 4.5}\n'), key="CRITIC_KEY")
    assert critic.grade(TEXT, crossing) == 4.5
    [(path, body)] = server.asked
    assert path == "/v1/chat/completions"
    assert (body["model"], body["temperature"]) == ("judge", 0)
    assert server.headers[0]["Authorization"] == "Bearer secret"
    question = body["messages"][-1]["content"]
    for fact in (TEXT, "yield", "lane_keeping", "pedestrian", "proved to cause nothing: critical_object/bus"):
        assert fact in question


@pytest.mark.parametrize(
    "end", ['```json\n{"grade": 3.5}\n```', '**{"grade": 3.5}**', '{ "grade" : 3.5 }.', '{"grade": 3.50}']
)
def test_the_grade_is_read_in_the_forms_that_models_give_it(serve, crossing, end):
    server, critic = serve(said(f'Not {{"grade": 1}}: both are right.\n{end}\n'))
    assert critic.grade(TEXT, crossing) == 3.5
    assert len(server.asked) == 1


def test_who_answers_without_a_grade_is_told_what_is_missing(serve, crossing):
    """The same question would get the same answer at temperature 0."""
    server, critic = serve(said("Well done."), said('{"grade": 5}'))
    assert critic.grade(TEXT, crossing) == 5.0
    first, second = (body["messages"] for _, body in server.asked)
    assert second[: len(first)] == first
    assert second[len(first)] == {"role": "assistant", "content": "Well done."}
    assert '{"grade": 3.5}' in second[-1]["content"]


def test_what_passes_is_asked_again(serve, crossing):
    answers = ((503, "busy"), said("five of five"), said('{"grade": 5}'))
    server, critic = serve(*answers)
    assert critic.grade(TEXT, crossing) == 5.0
    assert len(server.asked) == 3
    assert server.pauses == [1.0, 2.0]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (said("Grade: 5"), "the answer ends in 'Grade: 5', not in"),
        (said('{"grade": "5"}'), "not in"),
        (said('{"grade": true}'), "not in"),
        (said('{"grade": NaN}'), "not in"),
        (said('{"grade": 5.1}'), "not in"),
        (said('{"grade": 4, "sure": 1}'), "not in"),
        ((200, "{}"), "choices"),
        ((200, "hello"), "Expecting value"),
        ((500, ""), "HTTP 500"),
        ((TORN, said('{"grade": 5}')[1]), "IncompleteRead"),
    ],
)
def test_what_stays_wrong_is_one_clear_error(serve, crossing, answer, problem):
    server, critic = serve(answer)
    with pytest.raises(
        TrainingError, match=rf"the critic judge at {server.url}/chat/completions gave no grade: .*{problem}"
    ) as error:
        critic.grade(TEXT, crossing)
    assert "\n" not in str(error.value)
    assert len(server.asked) == ATTEMPTS


def test_a_refusal_is_not_asked_again(serve, crossing):
    server, critic = serve((401, "no"))
    with pytest.raises(TrainingError, match="HTTP 401"):
        critic.grade(TEXT, crossing)
    assert len(server.asked) == 1


def test_nobody_there(serve, crossing):
    server, critic = serve(said(""))
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(TrainingError, match="gave no grade: .*refused"):
        critic.grade(TEXT, crossing)


def test_a_missing_key_is_told_before_anything_is_asked(monkeypatch):
    monkeypatch.delenv("CRITIC_KEY", raising=False)
    with pytest.raises(TrainingError, match="environment variable CRITIC_KEY is not set"):
        EndpointCritic("http://127.0.0.1:1/v1", "judge", "CRITIC_KEY", seconds=1.0, at_once=1)


def test_better_grades_are_more_reward(serve, crossing):
    _, critic = serve(*(said(f'{{"grade": {grade}}}') for grade in (1, 4)))
    critic.at_once = 1
    attempt = Attempt(crossing, PlanSample(None, TEXT, complete=True))
    assert ReasoningReward(critic).score([attempt, attempt]) == [0.2, 0.8]
