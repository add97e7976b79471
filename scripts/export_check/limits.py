"""What an export must keep, by recipe. KL in nats; agreement, top-1 and sizes are shares."""

INT8 = {"kl": 0.0015, "agreement": 0.99, "top1": 0.005}
LIMITS = {
    "int8": INT8 | {"runtimes_kl": 0.0015, "runtimes_agreement": 0.99},
    "w4a8": INT8,
    "w4a16": {"kl": 0.0005},
    # A value at the middle of two floats of 8 or 4 bits goes to either side in two runtimes, and the steps are wide: the most
    # that DeiT-Tiny's and ViT-Tiny's files differ by in onnxruntime and OpenVINO, times 1.5 (docs/lab/export.md).
    "fp8": {"kl": 0.007},
    "mxfp8": {"kl": 0.009},
    "mxfp4": {"kl": 0.07},
    "nvfp4": {"kl": 0.043},
}

# A convolutional network of fifty narrow layers makes of one value that falls to the other side of a step an answer as far
# away as the rounding of all values does. Two runtimes then differ by up to twice the student's own distance from the
# teacher, and what has to hold is that the file is as near to the teacher as the student is.
CONVOLUTIONAL_KL, CONVOLUTIONAL_TEACHER_KL = 2, 1.25

# With --acceptance also what DeiT-Tiny's and ViT-Tiny's students keep (the laxer of both) on a CPU with AVX512-VNNI.
TINY = {"teacher_kl": 0.008, "teacher_top1": 0.006}
TINY_INT4 = {"size": 0.165, "teacher_kl": 0.026, "teacher_top1": 0.012}
SPEED = {"ort_speed_1": 1.8, "ort_speed_16": 1.7, "openvino_speed_1": 1.95, "openvino_speed_16": 2.1, "bf16_speed": 1.1}
ACCEPTANCE = {
    "int8": {"size": 0.27} | TINY | SPEED,
    "w4a8": TINY_INT4,
    "w4a16": TINY_INT4 | {"ort_speed_1": 0.9, "ort_speed_16": 0.9},
    "fp8": {"size": 0.28} | TINY,
}

MOST = {
    "kl": "KL of the program's student and the file, of both inputs, and of batches",
    "top1": "difference in top-1 of the program's student and the file",
    "runtimes_kl": "KL of the file in onnxruntime and in OpenVINO",
    "size": "size of a file over that of the float32 parameters",
    "teacher_kl": "KL of the teacher and the file",
    "teacher_top1": "top-1 lost against the teacher",
}
LEAST = {
    "agreement": "share of images with one answer, of the program's student and the file, and of both inputs",
    "runtimes_agreement": "share of images with one answer in onnxruntime and OpenVINO",
    "ort_speed_1": "speed-up over float32 in onnxruntime, one image at a time",
    "ort_speed_16": "the same, 16 images at a time",
    "openvino_speed_1": "speed-up over float32 in OpenVINO, one image at a time",
    "openvino_speed_16": "the same, 16 images at a time",
    "bf16_speed": "speed-up over bfloat16 in OpenVINO",
}


def convolutional(limits, student_kl, given):
    """The same for a network of convolutions whose student has this KL to the teacher; what the call gives stays."""
    ratio = {name: max(limits.get(name, 0), CONVOLUTIONAL_KL * student_kl) for name in ("kl", "runtimes_kl")}
    teacher = {"teacher_kl": limits.get("kl", 0) + CONVOLUTIONAL_TEACHER_KL * student_kl}
    kept = {name: value for name, value in limits.items() if name not in {"agreement", "runtimes_agreement", "top1"}}
    return kept | ratio | teacher | {name: value for name, value in given.items() if value is not None}


def limits_of(recipe, acceptance, given):
    """given: limits that replace those of the recipe; None takes one away."""
    chosen = LIMITS.get(recipe, {}) | (ACCEPTANCE.get(recipe, {}) if acceptance else {}) | given
    return {name: value for name, value in chosen.items() if value is not None}
