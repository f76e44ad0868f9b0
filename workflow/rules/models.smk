# Models: the evaluator of each dataset, every row of the study, and what the evaluator says of it; official checkpoints likewise.

rule train_evaluator:
    message: "train the evaluator of {wildcards.dataset}"
    input: STAGES["train-evaluator"].inputs
    output: STAGES["train-evaluator"].outputs
    log: LOGS + "/train-evaluator/{dataset}.log"
    benchmark: LOGS + "/train-evaluator/{dataset}.tsv"
    threads: THREADS
    resources: mem_mb=2500, gpu=GPUS
    params: knobs=knobs_of("train-evaluator")
    shell: STAGES["train-evaluator"].shell

rule train:
    message: "train {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    input: STAGES["train"].inputs
    output: STAGES["train"].outputs
    log: LOGS + "/train/{dataset}-{variant}-{seed}.log"
    benchmark: LOGS + "/train/{dataset}-{variant}-{seed}.tsv"
    threads: THREADS
    resources: mem_mb=2500, gpu=GPUS
    params: knobs=knobs_of("train")
    shell: STAGES["train"].shell

rule evaluate_reference:
    message: "evaluate the reference motions of {wildcards.dataset}"
    input: STAGES["evaluate-reference"].inputs
    output: STAGES["evaluate-reference"].outputs
    log: LOGS + "/evaluate-reference/{dataset}.log"
    benchmark: LOGS + "/evaluate-reference/{dataset}.tsv"
    threads: THREADS
    resources: mem_mb=2500, gpu=GPUS
    params: knobs=knobs_of("evaluate-reference")
    shell: STAGES["evaluate-reference"].shell

rule sensitivity:
    message: "ask what the evaluator of {wildcards.dataset} notices"
    input: STAGES["sensitivity"].inputs
    output: STAGES["sensitivity"].outputs
    log: LOGS + "/sensitivity/{dataset}.log"
    benchmark: LOGS + "/sensitivity/{dataset}.tsv"
    threads: THREADS
    resources: mem_mb=2500, gpu=GPUS
    params: knobs=knobs_of("sensitivity")
    shell: STAGES["sensitivity"].shell

rule evaluate:
    message: "evaluate {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    input: STAGES["evaluate"].inputs
    output: STAGES["evaluate"].outputs
    log: LOGS + "/evaluate/{dataset}-{variant}-{seed}.log"
    benchmark: LOGS + "/evaluate/{dataset}-{variant}-{seed}.tsv"
    threads: THREADS
    resources: mem_mb=2500, gpu=GPUS
    params: knobs=knobs_of("evaluate")
    shell: STAGES["evaluate"].shell

rule show_real:
    message: "real motions of {wildcards.dataset} for the report"
    input: STAGES["show-real"].inputs
    output: STAGES["show-real"].outputs
    log: LOGS + "/show-real/{dataset}.log"
    benchmark: LOGS + "/show-real/{dataset}.tsv"
    threads: 1
    resources: mem_mb=1000
    params: knobs=knobs_of("show-real")
    shell: STAGES["show-real"].shell

rule show:
    message: "motions of {wildcards.variant} on {wildcards.dataset} for the report"
    input: STAGES["show"].inputs
    output: STAGES["show"].outputs
    log: LOGS + "/show/{dataset}-{variant}-{seed}.log"
    benchmark: LOGS + "/show/{dataset}-{variant}-{seed}.tsv"
    threads: THREADS
    resources: mem_mb=2500, gpu=GPUS
    params: knobs=knobs_of("show")
    shell: STAGES["show"].shell

rule steps:
    message: "sample {wildcards.variant} on {wildcards.dataset} in fewer and more steps"
    input: STAGES["steps"].inputs
    output: STAGES["steps"].outputs
    log: LOGS + "/steps/{dataset}-{variant}-{seed}.log"
    benchmark: LOGS + "/steps/{dataset}-{variant}-{seed}.tsv"
    threads: THREADS
    resources: mem_mb=2500, gpu=GPUS
    params: knobs=knobs_of("steps")
    shell: STAGES["steps"].shell

rule adopt:
    message: "adopt the official {wildcards.variant} for {wildcards.dataset}"
    input: STAGES["adopt"].inputs
    output: STAGES["adopt"].outputs
    log: LOGS + "/adopt/{dataset}-{variant}.log"
    benchmark: LOGS + "/adopt/{dataset}-{variant}.tsv"
    threads: 1
    resources: mem_mb=3000
    params: knobs=knobs_of("adopt")
    shell: STAGES["adopt"].shell

rule re_evaluate:
    message: "evaluate the official {wildcards.variant} on {wildcards.dataset}"
    input: STAGES["re-evaluate"].inputs
    output: STAGES["re-evaluate"].outputs
    log: LOGS + "/re-evaluate/{dataset}-{variant}.log"
    benchmark: LOGS + "/re-evaluate/{dataset}-{variant}.tsv"
    threads: THREADS
    resources: mem_mb=4000, gpu=GPUS
    params: knobs=knobs_of("re-evaluate")
    shell: STAGES["re-evaluate"].shell
