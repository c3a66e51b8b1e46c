# Builds an image of one's own and pushes it to ECR, as the notebooks about one's own container do:
# sh build_and_push.sh NAME FOLDER BASE_IMAGE
name=$1
set -e
account=$(aws sts get-caller-identity --query Account --output text)
region=$(aws configure get region || echo "$AWS_REGION")
fullname="${account}.dkr.ecr.${region}.amazonaws.com/${name}:latest"

aws ecr describe-repositories --repository-names "${name}" > /dev/null 2>&1 ||
    aws ecr create-repository --repository-name "${name}" > /dev/null

aws ecr get-login-password --region "${region}" |
    docker login --username AWS --password-stdin "${account}.dkr.ecr.${region}.amazonaws.com"

docker build -q -t "${name}" --build-arg "BASE_IMAGE=$3" "$2"
docker tag "${name}" "${fullname}"
docker push "${fullname}"
