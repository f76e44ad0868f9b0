# Results: everything gathered, counted, tabulated and drawn.

rule aggregate:
    message: "gather metrics"
    input: STAGES["aggregate"].inputs
    output: STAGES["aggregate"].outputs
    log: LOGS + "/aggregate.log"
    benchmark: LOGS + "/aggregate.tsv"
    threads: 1
    resources: mem_mb=1000
    params: knobs=knobs_of("aggregate")
    shell: STAGES["aggregate"].shell

rule complexity:
    message: "count and time every model"
    input: STAGES["complexity"].inputs
    output: STAGES["complexity"].outputs
    log: LOGS + "/complexity.log"
    benchmark: LOGS + "/complexity.tsv"
    # alone on the machine, so that timings are not disturbed
    threads: workflow.cores
    resources: mem_mb=5000, gpu=GPUS
    params: knobs=knobs_of("complexity")
    shell: STAGES["complexity"].shell

rule claims:
    message: "decide the paper's claims"
    input: STAGES["claims"].inputs
    output: STAGES["claims"].outputs
    log: LOGS + "/claims.log"
    benchmark: LOGS + "/claims.tsv"
    threads: 1
    resources: mem_mb=1000
    params: knobs=knobs_of("claims")
    shell: STAGES["claims"].shell

rule tables:
    message: "write the tables"
    input: STAGES["tables"].inputs
    output: told("tables", "Tables")
    log: LOGS + "/tables.log"
    benchmark: LOGS + "/tables.tsv"
    threads: 1
    resources: mem_mb=1000
    params: knobs=knobs_of("tables")
    shell: STAGES["tables"].shell

rule figures:
    message: "draw the figures"
    input: STAGES["figures"].inputs
    output: told("figures", "Figures")
    log: LOGS + "/figures.log"
    benchmark: LOGS + "/figures.tsv"
    threads: 1
    resources: mem_mb=1000
    params: knobs=knobs_of("figures")
    shell: STAGES["figures"].shell

rule report:
    message: "write the report"
    input: STAGES["report"].inputs
    output: told("report", "Report")
    log: LOGS + "/report.log"
    benchmark: LOGS + "/report.tsv"
    threads: 1
    resources: mem_mb=1000
    params: knobs=knobs_of("report")
    shell: STAGES["report"].shell
