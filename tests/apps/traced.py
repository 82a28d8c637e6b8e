"""A Flask application traced by OpenTelemetry or ddtrace (TRACED_BY); / collects in a request, and
answers with the ids that its tracing library shows it there."""

from __future__ import annotations

import contextvars
import gc
import os

from flask import Flask

app = Flask(__name__)
heap: list[list] = [[] for _ in range(300000)]  # a collection of it takes longer than 1 ms

if os.environ["TRACED_BY"] == "ddtrace":
    import ddtrace

    ddtrace.patch(flask=True)
    tracer = getattr(ddtrace, "tracer", None)
    if tracer is None:
        from ddtrace.trace import tracer

    app = Flask(__name__)

    def ids() -> str:
        span = tracer.current_span()
        return f"{span.trace_id:032x} {span.span_id:016x}"

    def context() -> contextvars.Context:
        """One, as a task has, in which there still is a span that has ended: its parent counts."""
        span = tracer.trace("ended")
        copy = contextvars.copy_context()
        span.finish()
        return copy

else:
    from opentelemetry import trace
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

    sampler = ALWAYS_OFF if os.environ.get("SAMPLED") == "never" else ALWAYS_ON
    trace.set_tracer_provider(TracerProvider(sampler=sampler))
    FlaskInstrumentor().instrument_app(app)

    def ids() -> str:
        context = trace.get_current_span().get_span_context()
        return f"{context.trace_id:032x} {context.span_id:016x}"

    def context() -> contextvars.Context:
        return contextvars.copy_context()


@app.route("/")
def root() -> str:
    return "hello"


@app.route("/collect")
def collect() -> str:
    where = context()
    where.run(gc.collect)
    return where.run(ids)


@app.route("/between")
def between() -> str:
    """Not in a request's span."""
    contextvars.Context().run(gc.collect)
    return "done"
