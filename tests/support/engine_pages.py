"""What each kind of engine and gateway answers on /metrics, in the format of a recording, at a known steady load.

Each page is of one pod after `t` seconds: five requests a second, ten running, two waiting, fifty tokens a request,
every first token after 0.3 s, 0.04 s between tokens, a quarter of the cache in use.
"""

from collections.abc import Callable, Iterator

RPS, RUNNING, WAITING, TOKENS = 5.0, 10, 2, 50
TTFT_SECONDS, ITL_SECONDS, CACHE = 0.3, 0.04, 0.25

Page = Callable[[float], Iterator[str]]


def histogram(name: str, labels: str, bounds: tuple[float, ...], value: float, count: int) -> Iterator[str]:
    """A histogram whose every observation was `value`."""
    for bound in bounds:
        yield f'{name}_bucket{{{labels},le="{bound}"}} {count if value <= bound else 0}'
    yield f'{name}_bucket{{{labels},le="+Inf"}} {count}'
    yield f"{name}_sum{{{labels}}} {value * count}"
    yield f"{name}_count{{{labels}}} {count}"


def sglang(t: float, *, old: bool = False) -> Iterator[str]:
    """SGLang; the old one has the former name of the time between tokens."""
    of, done = 'model_name="m",engine_type="unified",tp_rank="0",pp_rank="0"', int(RPS * t)
    yield f"sglang:num_running_reqs{{{of}}} {RUNNING}"
    yield f"sglang:num_queue_reqs{{{of}}} {WAITING}"
    yield f"sglang:token_usage{{{of}}} {CACHE}"
    yield f'sglang:num_requests_total{{model_name="m",is_streaming="true"}} {done}'
    yield f'sglang:generation_tokens_total{{model_name="m"}} {done * TOKENS}'
    yield from histogram(
        "sglang:time_to_first_token_seconds", 'model_name="m"', (0.1, 0.2, 0.4, 0.6, 0.8), TTFT_SECONDS, done
    )
    name = "sglang:time_per_output_token_seconds" if old else "sglang:inter_token_latency_seconds"
    yield from histogram(name, 'model_name="m"', (0.02, 0.03, 0.05, 0.06), ITL_SECONDS, done * TOKENS)


def trtllm(t: float) -> Iterator[str]:
    """TensorRT-LLM's own server."""
    of, done = 'model_name="m",engine_type="trtllm"', int(RPS * t)
    yield f"trtllm_num_requests_running{{{of}}} {RUNNING}"
    yield f"trtllm_num_requests_waiting{{{of}}} {WAITING}"
    yield f"trtllm_kv_cache_utilization{{{of}}} {CACHE}"
    yield f'trtllm_request_success_total{{{of},finished_reason="stop"}} {done}'
    yield f"trtllm_generation_tokens_total{{{of}}} {done * TOKENS}"
    yield from histogram("trtllm_time_to_first_token_seconds", of, (0.1, 0.25, 0.5, 0.75), TTFT_SECONDS, done)
    yield from histogram("trtllm_time_per_output_token_seconds", of, (0.01, 0.025, 0.05, 0.075), ITL_SECONDS, done)


def triton(t: float) -> Iterator[str]:
    """Triton with the TensorRT-LLM backend, and the models around it that count each request again."""
    for kind, count in (("context", 1), ("scheduled", RUNNING), ("waiting", WAITING), ("max", 512), ("active", 12)):
        yield f'nv_trt_llm_request_metrics{{model="tensorrt_llm",request_type="{kind}",version="1"}} {count}'
    blocks = "nv_trt_llm_kv_cache_block_metrics"
    for kind, count in (("tokens_per", 64), ("used", 110), ("free", 330), ("max", 440)):
        yield f'{blocks}{{kv_cache_block_type="{kind}",model="tensorrt_llm",version="1"}} {count}'
    for model in ("ensemble", "preprocessing", "tensorrt_llm", "postprocessing"):
        yield f'nv_inference_request_success{{model="{model}",version="1"}} {int(RPS * t)}'


def vllm(t: float) -> Iterator[str]:
    """A vLLM worker behind a gateway: what is read of single replicas."""
    of = 'model_name="m",engine="0"'
    yield f"vllm:num_requests_running{{{of}}} {RUNNING}"
    yield f"vllm:num_requests_waiting{{{of}}} {WAITING}"
    yield f"vllm:kv_cache_usage_perc{{{of}}} {CACHE}"
    yield from histogram("vllm:inter_token_latency_seconds", of, (0.025, 0.05), ITL_SECONDS, int(RPS * t * TOKENS))
    yield from histogram("vllm:time_to_first_token_seconds", of, (0.25, 0.5), TTFT_SECONDS, int(RPS * t))


def dynamo(t: float, *, old: bool = False) -> Iterator[str]:
    """Dynamo's frontend; the old one has neither stages nor a counter of arrivals."""
    of, count = 'model="m"', int(RPS * t)
    yield f"dynamo_frontend_inflight_requests{{{of}}} {RUNNING + WAITING}"
    yield f"dynamo_frontend_queued_requests{{{of}}} {WAITING}"
    yield f'dynamo_frontend_requests_total{{{of},endpoint="chat_completions",status="success"}} {count}'
    if not old:
        yield f"dynamo_frontend_active_requests{{{of}}} {RUNNING + WAITING}"
        for stage, phase, waits in (("preprocess", "", 1), ("route", "aggregated", 1), ("dispatch", "aggregated", 3)):
            yield f'dynamo_frontend_stage_requests{{stage="{stage}",phase="{phase}"}} {waits}'
        yield f'dynamo_frontend_requests_started_total{{{of},endpoint="chat_completions"}} {count}'
    yield f"dynamo_frontend_output_tokens_total{{{of}}} {count * TOKENS}"
    yield from histogram("dynamo_frontend_output_sequence_tokens", of, (32.0, 64.0), TOKENS, count)
    yield from histogram("dynamo_frontend_time_to_first_token_seconds", of, (0.25, 0.5), TTFT_SECONDS, count)
    yield from histogram("dynamo_frontend_inter_token_latency_seconds", of, (0.025, 0.05), ITL_SECONDS, count * TOKENS)


def epp(t: float, *, share: float = 1.0, old: bool = False) -> Iterator[str]:
    """One copy of an endpoint picker of two endpoints that handles a share of the requests; the old names are GIE's."""
    pool, of = 'name="pool"', 'model_name="m",target_model_name="m"'
    prefix, ready = ("inference_pool_", "ready_pods") if old else ("llm_d_epp_", "ready_endpoints")
    yield f"{prefix}{ready}{{{pool}}} 2"
    yield f"{prefix}average_running_requests{{{pool}}} {RUNNING / 2}"
    yield f"{prefix}average_queue_size{{{pool}}} {(WAITING - 1) / 2}"
    count = int(RPS * share * t)
    flow = "inference_extension_flow_control_queue_size" if old else "llm_d_epp_flow_control_queue_size"
    yield f'{flow}{{fairness_id="default",priority="0",inference_pool="pool"}} {share}'
    yield f"{'inference_objective_request_total' if old else 'llm_d_epp_request_total'}{{{of}}} {count}"
    if not old:
        yield from histogram("llm_d_epp_request_output_tokens", of, (32.0, 64.0), TOKENS, count)
        yield from histogram(
            "llm_d_epp_request_ttft_seconds", f'{of},streaming="true"', (0.25, 0.5), TTFT_SECONDS, count
        )
        yield from histogram("llm_d_epp_request_streaming_tpot_seconds", of, (0.025, 0.05), ITL_SECONDS, count)


def owners(*rows: tuple[str, str, str]) -> Page:
    """kube-state-metrics: pods of namespace team-a, the ReplicaSet each has and the Deployment of that."""

    def page(_: float) -> Iterator[str]:
        for pod, replica_set, deployment in rows:
            controller = 'owner_is_controller="true"'
            yield (
                f'kube_pod_owner{{namespace="team-a",pod="{pod}",owner_kind="ReplicaSet",'
                f'owner_name="{replica_set}",{controller}}} 1'
            )
            yield (
                f'kube_replicaset_owner{{namespace="team-a",replicaset="{replica_set}",owner_kind="Deployment",'
                f'owner_name="{deployment}",{controller}}} 1'
            )

    return page


PAGES: dict[str, tuple[Page, ...]] = {
    "sglang": (sglang, lambda t: sglang(t, old=True)),
    "trtllm": (trtllm,),
    "triton-trtllm": (triton,),
    "dynamo": (dynamo, lambda t: dynamo(t, old=True), vllm),
    "epp": (epp, lambda t: epp(t, old=True), vllm),
}
"""All that a profile's queries may name, by profile: old and new pages, and the workers behind a gateway."""
