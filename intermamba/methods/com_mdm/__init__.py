"""ComMDM (Shafir et al. 2024): a frozen single-person MDM for both persons, and a block between them."""

from typing import Annotated

from pydantic import Field

from intermamba.methods.mdm import CLIP_B32, SAMPLING, SIZES, TRAINING, MdmOptions
from intermamba.methods.method import CLEAN_MOTION, ROW, Method, Training


class ComMdmOptions(MdmOptions):
    """Choices of ComMDM."""

    clips: Annotated[int, Field(gt=0)] | None = None
    """Number of clips to train the block on, drawn by the training seed [ComMDM*: 10]; none: all."""


METHOD = Method(
    name="com_mdm",
    network="intermamba.methods.com_mdm.network:ComMdm",
    options=ComMdmOptions,
    trainings=(
        Training(
            name="prior",
            module="intermamba.methods.com_mdm.training:PriorTraining",
            network="intermamba.methods.com_mdm.network:Prior",
            options=("form",),
            error=CLEAN_MOTION,
            defaults=TRAINING,
            devices="any",
        ),
        Training(
            name=ROW,
            module="intermamba.methods.com_mdm.training:ComMdmTraining",
            error=CLEAN_MOTION,
            needs=("prior",),
            devices="any",
        ),
    ),
    guided="no",
    layout="intermamba.methods.com_mdm.official:READER",
    text="CLIP ViT-B/32, sentence",
    defaults={"text": CLIP_B32, "model": SIZES, "diffusion": SAMPLING, "training": TRAINING},
    sources={
        "model": "priorMDM/priorMDM, model/comMDM.py: block after layer 8, two layers, in_both_out_cur",
        "diffusion": "sample/two_person_text2motion.py: all 1000 steps, guidance 1",
        "training": "utils/parser_util.py (AdamW 1e-4, batch 64)",
    },
)
