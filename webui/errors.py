"""What can go wrong, in words a person can act on.

Every error that a visitor, an operator or a program may see is one class here, with a stable `code`. It knows nothing of
HTTP, Gradio or vLLM: the doors turn `code` into a status or a translated sentence, `message` is the English one.
"""

from __future__ import annotations

import logging
import secrets
from typing import Any, ClassVar


class WebuiError(Exception):
    """Something a person may see.

    Attributes:
        code: stable name; the page's texts hold a sentence per code (`error.<code>`).
        http_status: what the HTTP doors answer.
        id: random; a person sees it, and it stands in the log too. Empty for a refusal.
        params: the values named in the sentence.
        passing: whether it may pass by itself, so that trying again makes sense.
    """

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500
    sentence: ClassVar[str] = "Something went wrong inside the app. The log names it."
    passing: ClassVar[bool] = False

    def __init__(self, **params: Any) -> None:
        self.id = self._new_id()
        self.params = params
        super().__init__(self.sentence.format(**params))

    @staticmethod
    def _new_id() -> str:
        return secrets.token_hex(4)

    @property
    def message(self) -> str:
        """The English sentence with its values filled in."""
        return str(self)

    def as_dict(self) -> dict[str, Any]:
        """The error as it travels to a page or a program."""
        named = {"id": self.id} if self.id else {}
        return {**named, "code": self.code, "message": self.message, "params": self.params}

    def write_to(self, log: logging.Logger, what: str) -> None:
        """Writes a line with the error's id.

        Args:
            log: where to.
            what: what could not be done.
        """
        log.warning("Error %s, %s: %s", self.id, what, self.message)


class Internal(WebuiError):
    """A fault of ours; the log has the traceback."""


class Refusal(WebuiError):
    """What whoever asked can mend by asking otherwise. Nobody has to look for it in the log."""

    http_status = 400

    @staticmethod
    def _new_id() -> str:
        return ""

    def write_to(self, log: logging.Logger, what: str) -> None:
        """Writes the code alone, because the sentence may bear a person's words."""
        log.info("Refused, %s: %s", what, self.code)


class BadSetting(WebuiError):
    code = "bad_setting"
    http_status = 400
    sentence = "{setting}: {reason}"


class BadInput(Refusal):
    code = "bad_input"
    sentence = "{field}: {reason}"


class ChatNotFound(Refusal):
    code = "chat_not_found"
    http_status = 404
    sentence = "There is no such conversation here. It may have been deleted, or belong to somebody else."


class MessageNotFound(Refusal):
    code = "message_not_found"
    http_status = 404
    sentence = "There is no such message in this conversation. Reload the page and try again."


class MessageTooLong(WebuiError):
    code = "message_too_long"
    http_status = 413
    sentence = "The message needs {used} tokens with its system prompt; the model reads at most {total}. Shorten it."


class TurnRunning(Refusal):
    code = "turn_running"
    http_status = 409
    sentence = "An answer is still being written here. Stop it or wait for it first."


class TooManyTurns(Refusal):
    code = "too_many_turns"
    http_status = 429
    sentence = "You have {running} answers running already; {limit} at once is the limit. Stop one or wait."


class TooManyRequests(Refusal):
    code = "too_many_requests"
    http_status = 429
    sentence = "{running} requests of yours are running already; {limit} at once is the limit. Try again when one has ended."


class QueueFull(WebuiError):
    code = "queue_full"
    http_status = 503
    sentence = "{waiting} requests are waiting already, and no more are taken in. Try again in a moment."


class LoginNeeded(Refusal):
    code = "login_needed"
    http_status = 401
    sentence = "Log in first."


class LoginFailed(Refusal):
    code = "login_failed"
    http_status = 401
    sentence = "The name or the password is wrong."


class TooManyAttempts(Refusal):
    code = "too_many_attempts"
    http_status = 429
    sentence = "Too many attempts. Try again in {minutes} min."


class ProxyNeeded(Refusal):
    code = "proxy_needed"
    http_status = 401
    sentence = "The proxy before this page has not said who you are. Come by its address."


class HeaderRefused(Refusal):
    code = "header_refused"
    http_status = 403
    sentence = "Only the proxy before this page may say who somebody is."


class UserRefused(Refusal):
    code = "user_refused"
    sentence = "{name}: {reason}."


class InvalidApiKey(Refusal):
    code = "invalid_api_key"
    http_status = 401
    sentence = "A valid API key is wanted, as the header “Authorization: Bearer KEY”."


class NoApiKeys(Refusal):
    code = "no_api_keys"
    http_status = 401
    sentence = "The API wants a key, and this server has none yet. Start it with --api-key or --api-key-file."


class UnknownPath(Refusal):
    code = "unknown_path"
    http_status = 404
    sentence = "There is no {path} here. README, “The API”, lists what there is."


class WrongMethod(Refusal):
    code = "wrong_method"
    http_status = 405
    sentence = "{path} wants the method {method}."


class BodyTooLarge(Refusal):
    code = "body_too_large"
    http_status = 413
    sentence = "The request's body has more than {limit} bytes."


class DemoFull(Refusal):
    code = "demo_full"
    http_status = 429
    sentence = "{running} demonstration requests are there already; {limit} at once is the limit. Stop them or wait."


class VisitOver(Refusal):
    code = "visit_over"
    http_status = 404
    sentence = "This visit is over. Touch the screen to begin a new one."


class NoMoreQuestions(Refusal):
    code = "no_more_questions"
    http_status = 429
    sentence = "Those were {limit} questions, as many as one visit has. Touch “Start over” to begin a new one."


class QuestionTooLong(Refusal):
    code = "question_too_long"
    http_status = 413
    sentence = "The question has {length} characters; {limit} are the limit. Shorten it."


class TooManyQuestions(Refusal):
    code = "too_many_questions"
    http_status = 429
    sentence = "Very many people are asking just now. Try again in {seconds} s."


class ComparisonRunning(Refusal):
    code = "comparison_running"
    http_status = 409
    sentence = "Somebody is running this already on another screen. Try again in a moment."


class PinWrong(Refusal):
    code = "pin_wrong"
    http_status = 403
    sentence = "That is not the PIN."


class PinLocked(Refusal):
    code = "pin_locked"
    http_status = 429
    sentence = "There were too many wrong tries. Try again in {seconds} s."


class ShuttingDown(WebuiError):
    code = "shutting_down"
    http_status = 503
    sentence = "The server is shutting down. Try again in a minute."


class EngineNotReady(WebuiError):
    code = "engine_not_ready"
    http_status = 503
    sentence = "The engine is still starting."


class EngineRestarting(WebuiError):
    code = "engine_restarting"
    http_status = 503
    sentence = "The engine stopped and is being started again. Try again in half a minute."


class EngineStopped(WebuiError):
    code = "engine_stopped"
    http_status = 503
    sentence = "The engine stopped; it is being started again. What it had said so far is kept."


class EngineFailed(WebuiError):
    code = "engine_failed"
    http_status = 503
    sentence = "The engine could not start: {reason}"


class ServerUnreachable(WebuiError):
    code = "server_unreachable"
    http_status = 503
    sentence = "The model's server at {address} cannot be reached: {reason}. It is tried again by itself."
    passing = True


class ModelNotServed(WebuiError):
    code = "model_not_served"
    http_status = 503
    sentence = "The server at {address} does not serve {model}: {reason}. It is asked again by itself."
    passing = True


class ConnectionBroken(WebuiError):
    code = "connection_broken"
    http_status = 502
    sentence = "The connection to the model's server at {address} broke: {reason}. What was said so far is kept."


class ServerStalled(WebuiError):
    code = "server_stalled"
    http_status = 504
    sentence = "No text has come from the server at {address} for {seconds} seconds. What was said so far is kept."


class ServerFailed(WebuiError):
    code = "server_failed"
    http_status = 502
    sentence = "The model's server failed: {reason}. What was said so far is kept."
    passing = True


class ServerNotFound(WebuiError):
    code = "server_not_found"
    http_status = 503
    sentence = "The network does not know the name in {address}. It is asked again by itself."
    passing = True


class ServerUntrusted(WebuiError):
    code = "server_untrusted"
    http_status = 503
    sentence = "No secure connection to {address}: {reason}. It is tried again by itself."
    passing = True


class ServerKeyRefused(WebuiError):
    code = "server_key_refused"
    http_status = 503
    sentence = "The server at {address} refuses the API key that this page shows it (--remote-api-key)."
    passing = True


class ServerBusy(WebuiError):
    code = "server_busy"
    http_status = 503
    sentence = "The server at {address} is busy and asks to come back in {seconds} seconds."
    passing = True


class CannotContinue(Refusal):
    code = "cannot_continue"
    http_status = 501
    sentence = "The server at {address} cannot go on with an answer; it can only begin another."


class ClientMissing(WebuiError):
    code = "client_missing"
    http_status = 503
    sentence = "{package} is not installed here; `python launch.py --engine {engine} …` installs it."


class ContextUnknown(WebuiError):
    code = "context_unknown"
    http_status = 503
    sentence = "Neither the server nor {tokenizer} says how many tokens the model reads; say it with --max-model-len."


class NoApiHere(Refusal):
    code = "no_api_here"
    http_status = 501
    sentence = "The API is that of an engine in this process; this page stands before {device}. Ask that server itself."


class UnknownModel(Refusal):
    code = "unknown_model"
    http_status = 404
    sentence = "There is no model {model} here any more. Choose another."


class RequestRefused(Refusal):
    code = "request_refused"
    sentence = "The engine refused the request: {reason}"


class ModelNotFound(WebuiError):
    code = "model_not_found"
    http_status = 503
    sentence = (
        "There is no model at {model}. Give --model a folder with a config.json, or the id of a model on the Hugging Face Hub."
    )


class ModelOffline(WebuiError):
    code = "model_offline"
    http_status = 503
    sentence = (
        "The model {model} is not on this machine and the Hugging Face Hub cannot be reached. "
        "Connect once to fetch it, or give --model a local folder."
    )


class ModelGated(WebuiError):
    code = "model_gated"
    http_status = 503
    sentence = (
        "The model {model} is gated: ask for access on its Hugging Face page, "
        "then start again with an access token in the environment variable HF_TOKEN."
    )


class ModelIncomplete(WebuiError):
    code = "model_incomplete"
    http_status = 503
    sentence = "The model folder {model} is not complete: {missing} is missing. Copy or download it again."


class ModelNotText(WebuiError):
    code = "model_not_text"
    http_status = 503
    sentence = "{model} is not a text-generation model (its config.json says {architecture}). Choose a …ForCausalLM model."


class NoChatTemplate(WebuiError):
    code = "no_chat_template"
    http_status = 503
    sentence = (
        "The model {model} has no chat template, so the app does not know how to write a conversation for it. "
        "Give one with --chat-template FILE, or choose its chat or instruct version."
    )


class CompiledUnusable(WebuiError):
    code = "compiled_unusable"
    http_status = 503
    sentence = "The compiled model {model} cannot be used: {reason}. Compile it again with `python launch.py compile`."


class CompiledDiffers(WebuiError):
    code = "compiled_differs"
    http_status = 503
    sentence = (
        "What is asked is not what {model} was compiled for: {differences}. "
        "Leave out what differs, or compile again with {recompile}."
    )


class CompiledForRbln(WebuiError):
    code = "compiled_for_rbln"
    http_status = 503
    sentence = (
        "{model} is compiled for RBLN, and this environment has no vllm-rbln. Start with `python launch.py --device rbln`."
    )


class NotCompiled(WebuiError):
    code = "not_compiled"
    http_status = 503
    sentence = "{model} is not compiled for RBLN. Do it once: `python launch.py compile --model {model} --out {out}`."


class NpuMissing(WebuiError):
    code = "npu_missing"
    http_status = 503
    sentence = "{model} is compiled for {wanted}; what is here: {found}. Look at `rbln-smi`, or compile it for what is here."


class CompileRefused(WebuiError):
    code = "compile_refused"
    sentence = "Not compiled: {reason}."


class HistoryUnavailable(WebuiError):
    code = "history_unavailable"
    http_status = 503
    sentence = "Kept conversations cannot be reached at the moment. It is tried again by itself."


class DatabaseMissing(WebuiError):
    code = "database_missing"
    http_status = 503
    sentence = "The database {path} is gone. Put it back; starting again without it makes a new one."


class DatabaseTooNew(WebuiError):
    code = "database_too_new"
    http_status = 503
    sentence = "A later version of the app has written to this database (its schema is {revision}). Start that version."


class EvaluationNotFound(Refusal):
    code = "evaluation_not_found"
    http_status = 404
    sentence = "There is no such run here. It may have been deleted, or belong to somebody else."


class EvaluationUnkept(WebuiError):
    code = "evaluation_unkept"
    http_status = 507
    sentence = "The run cannot go on: its answers cannot be written ({reason}). What was answered is kept."


class NotAnExport(Refusal):
    code = "not_an_export"
    sentence = "This file holds no conversations that can be read here: {reason}"


class PortTaken(WebuiError):
    code = "port_taken"
    sentence = "Port {port} on {host} is taken by another program. Choose another with --port, or end that program."


class AddressUnusable(WebuiError):
    code = "address_unusable"
    sentence = "Cannot listen on {host}:{port}: {reason}. Choose another address with --host and --port."
