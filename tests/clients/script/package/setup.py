from setuptools import setup

setup(name="my-training", version="1.0", packages=["my_training"], py_modules=["main"])
