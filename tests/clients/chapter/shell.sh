#!/usr/bin/env bash
# The AWS CLI part of the chapter, as its author wrote it for the cloud.
#     shell.sh WORK_FOLDER BUCKET FILE
set -euo pipefail
cd "$1"
bucket=$2
file=$3
aws s3 mb "s3://$bucket"
aws s3 cp "$file" "s3://$bucket/raw/salaries.csv"
aws s3 ls "s3://$bucket/raw/"
mkdir -p folder/inner
echo one > folder/one.txt
echo two > folder/inner/two.txt
aws s3 sync folder "s3://$bucket/folder"
aws s3 sync folder "s3://$bucket/folder" --dryrun
aws s3 sync "s3://$bucket/folder" back
diff -r folder back
aws s3 ls "s3://$bucket" --recursive
aws s3 cp "s3://$bucket/raw/salaries.csv" - | head -1
aws s3 rm "s3://$bucket/folder" --recursive
aws s3 rb "s3://$bucket" --force
