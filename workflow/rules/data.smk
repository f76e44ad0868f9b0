# Data: from the owners' files, or the embedded generator, to split files, token features and an evaluator.

rule fetch:
    message: "fetch {wildcards.dataset}"
    input: STAGES["fetch"].inputs
    output: STAGES["fetch"].outputs
    log: LOGS + "/fetch/{dataset}.log"
    benchmark: LOGS + "/fetch/{dataset}.tsv"
    threads: 1
    resources: mem_mb=1000
    params: knobs=knobs_of("fetch")
    shell: STAGES["fetch"].shell

rule preprocess:
    message: "preprocess {wildcards.dataset}"
    input: STAGES["preprocess"].inputs
    output: STAGES["preprocess"].outputs
    log: LOGS + "/preprocess/{dataset}.log"
    benchmark: LOGS + "/preprocess/{dataset}.tsv"
    threads: 1
    resources: mem_mb=2000
    params: knobs=knobs_of("preprocess")
    shell: STAGES["preprocess"].shell

rule encode_text:
    message: "encode captions of {wildcards.dataset}"
    input: STAGES["encode-text"].inputs
    output: STAGES["encode-text"].outputs
    log: LOGS + "/encode-text/{dataset}.log"
    benchmark: LOGS + "/encode-text/{dataset}.tsv"
    threads: THREADS
    resources: mem_mb=2000
    params: knobs=knobs_of("encode-text")
    shell: STAGES["encode-text"].shell
