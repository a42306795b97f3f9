"""The BraTS family of data sets: four MRI modalities of a brain tumour, and its tissues as a label map."""
